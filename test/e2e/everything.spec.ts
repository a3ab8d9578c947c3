import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  type ServerNotification,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callText, newClient, transportTo } from '../support/client.js';
import { npmImage } from '../support/fixture-image.js';
import { Service } from '../support/service.js';

/** A server of the npm registry that uses every feature of the protocol, and the official client. */
describe('server-everything in a sandbox, through an unmodified SDK client', () => {
  let service: Service;
  let client: Client;
  const notifications: ServerNotification[] = [];

  beforeAll(async () => {
    const image = await npmImage('@modelcontextprotocol/server-everything@2026.8.31');
    service = await Service.start();
    const deployment = await service.deploy({ image });
    client = newClient({ sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } });
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
      model: 'test-model',
      role: 'assistant',
      content: { type: 'text', text: `sampled at most ${params.maxTokens} tokens` },
    }));
    client.setRequestHandler(ElicitRequestSchema, () => ({
      action: 'accept',
      content: { name: 'Ada', check: true, firstLine: 'It was a dark night' },
    }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({
      roots: [{ uri: 'file:///home/mcp/project', name: 'the project' }],
    }));
    for (const schema of [LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema]) {
      client.setNotificationHandler(schema, (notification) => {
        notifications.push(notification);
      });
    }
    await client.connect(transportTo(deployment));
  });

  afterAll(async () => {
    await client.close();
    await service.stop();
  });

  it('the server introduces itself', () => {
    expect(client.getServerVersion()?.name).toContain('everything');
    expect(client.getServerCapabilities()).toMatchObject({
      tools: {},
      prompts: {},
      resources: {},
      logging: {},
    });
  });

  it('tools are listed with their schemas, and called', async () => {
    const { tools } = await client.listTools();
    expect(tools.length).toBeGreaterThanOrEqual(13);
    expect(tools.find(({ name }) => name === 'get-sum')?.inputSchema.required).toEqual(['a', 'b']);
    expect(await callText(client, 'get-sum', { a: 2, b: 40 })).toContain('42');
    expect(await callText(client, 'echo', { message: 'grüß dich 🌍' })).toContain('grüß dich 🌍');
  });

  it('a result keeps its structured content and its annotations', async () => {
    const structured = await client.callTool({
      name: 'get-structured-content',
      arguments: { location: 'Chicago' },
    });
    expect(structured.structuredContent).toMatchObject({ temperature: expect.any(Number) as number });
    const annotated = await client.callTool({
      name: 'get-annotated-message',
      arguments: { messageType: 'error' },
    });
    expect(annotated.content).toMatchObject([{ annotations: { priority: 1 } }]);
  });

  it('a tool that refuses its arguments says so', async () => {
    await expect(callText(client, 'get-sum', { a: 'two' })).rejects.toThrow(/expected number/i);
  });

  it('resources are listed and read, and templates are filled in', async () => {
    const { resources } = await client.listResources();
    const [first] = resources;
    const { contents } = await client.readResource({ uri: first?.uri ?? '' });
    expect(contents).toMatchObject([{ uri: first?.uri, mimeType: 'text/markdown' }]);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates).toHaveLength(2);
    const dynamic = await client.readResource({ uri: 'demo://resource/dynamic/text/7' });
    expect(JSON.stringify(dynamic.contents)).toContain('7');
  });

  it('a subscribed resource reports its changes', async () => {
    await client.subscribeResource({ uri: 'demo://resource/dynamic/text/1' });
    await callText(client, 'toggle-subscriber-updates');
    await expect
      .poll(() => notifications.filter(({ method }) => method === 'notifications/resources/updated'), {
        timeout: 15_000,
      })
      .not.toHaveLength(0);
    await callText(client, 'toggle-subscriber-updates');
    await client.unsubscribeResource({ uri: 'demo://resource/dynamic/text/1' });
  });

  it('prompts are listed, and filled in with arguments', async () => {
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toEqual(expect.arrayContaining(['simple-prompt', 'args-prompt']));
    const { messages } = await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Lagos' } });
    expect(JSON.stringify(messages)).toContain('Lagos');
  });

  it("a prompt's argument is completed", async () => {
    const { completion } = await client.complete({
      ref: { type: 'ref/prompt', name: 'completable-prompt' },
      argument: { name: 'department', value: 'E' },
    });
    expect(completion.values).toEqual(['Engineering']);
  });

  it('log messages arrive at the level that was asked for', async () => {
    await client.setLoggingLevel('debug');
    await callText(client, 'toggle-simulated-logging');
    await expect
      .poll(() => notifications.filter(({ method }) => method === 'notifications/message'), {
        timeout: 15_000,
      })
      .not.toHaveLength(0);
    await callText(client, 'toggle-simulated-logging');
  });

  it('progress is reported while a long call runs', async () => {
    const progress: number[] = [];
    await client.callTool(
      { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 4 } },
      undefined,
      { onprogress: (report) => progress.push(report.progress) },
    );
    expect(progress).toEqual([1, 2, 3, 4]);
  });

  it('the server samples through the client', async () => {
    const text = await callText(client, 'trigger-sampling-request', { prompt: 'Hello', maxTokens: 33 });
    expect(text).toContain('sampled at most 33 tokens');
  });

  it('the server asks the user through the client', async () => {
    expect(await callText(client, 'trigger-elicitation-request')).toContain('Ada');
  });

  it("the server reads the client's roots", async () => {
    expect(await callText(client, 'get-roots-list')).toContain('file:///home/mcp/project');
  });
});

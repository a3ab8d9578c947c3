import { Client as ModernClient } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, expect, it } from 'vitest';
import { ChannelTransport, serveFixture, SdkServerChannel } from '../../../test/support/sdk-channel.js';
import { translationOptions } from '../../../test/support/translated-handshake.js';
import type { Channel } from '../channels/channel.js';
import { HandshakeServerAsModern } from './handshake-server-as-modern.js';
import { ModernServerAsHandshake } from './modern-server-as-handshake.js';

const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} };
const opened: Channel[] = [];
afterEach(async () => {
  for (const channel of opened.splice(0)) await channel.close();
});

const handshakeServer = (): Channel => new SdkServerChannel(serveFixture);
const asModern = (channel: Channel): Channel => new HandshakeServerAsModern(channel, translationOptions());
const asHandshake = (channel: Channel): Channel =>
  new ModernServerAsHandshake(channel, { handshakeMs: 10_000 });

const thereAndBack = (): Channel => asHandshake(asModern(handshakeServer()));

async function modernClient(channel: Channel, capabilities: object = CAPABILITIES) {
  opened.push(channel);
  const client = new ModernClient(
    { name: 'modern', version: '1' },
    { capabilities, versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
  if ('elicitation' in capabilities) {
    client.setRequestHandler('elicitation/create', ({ params }) => ({
      action: 'accept',
      content: { answer: params.message, name: 'Ann', color: 'red', ok: true },
    }));
  }
  if ('sampling' in capabilities) {
    client.setRequestHandler('sampling/createMessage', () => ({
      role: 'assistant',
      model: 'm',
      content: { type: 'text', text: 'sampled' },
    }));
  }
  if ('roots' in capabilities)
    client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///r' }] }));
  const transport = new ChannelTransport(channel);
  await client.connect(transport);
  return { client };
}

async function oldClient(channel: Channel) {
  opened.push(channel);
  const client = new Client({ name: 'old', version: '1' }, { capabilities: CAPABILITIES });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
    action: 'accept',
    content: { answer: params.message, name: 'Ann', color: 'red', ok: true },
  }));
  client.setRequestHandler(CreateMessageRequestSchema, () => ({
    role: 'assistant',
    model: 'm',
    content: { type: 'text', text: 'sampled' },
  }));
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///r' }] }));
  const transport = new ChannelTransport(channel);
  await client.connect(transport);
  return { client };
}

describe.each([
  ['once', (): Channel => asModern(handshakeServer())],
  ['there, back and there again', (): Channel => asModern(thereAndBack())],
])('the SDK of the modern era with a server of the handshake era, translated %s', (_how, open) => {
  it('lists, calls, reads and completes', async () => {
    const { client } = await modernClient(open());
    expect(client.getServerVersion()).toMatchObject({ name: 'mcp-runner-fixture' });
    expect((await client.listTools()).tools.length).toBeGreaterThan(20);
    expect(await client.callTool({ name: 'test_simple_text', arguments: {} })).toMatchObject({
      content: [{ type: 'text' }],
    });
    expect((await client.readResource({ uri: 'test://static-text' })).contents).toHaveLength(1);
    expect((await client.listPrompts()).prompts.length).toBeGreaterThan(2);
    const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' } as const;
    const { completion } = await client.complete({ ref, argument: { name: 'arg1', value: 'p' } });
    expect(completion.values).toBeInstanceOf(Array);
    await expect(client.readResource({ uri: 'test://none' })).rejects.toMatchObject({ code: -32602 });
    await expect(client.callTool({ name: 'test_error_handling' })).resolves.toMatchObject({
      isError: true,
    });
  });

  it.each([
    ['test_elicitation', { message: 'Who?' }, 'Ann'],
    ['test_sampling', { prompt: 'Say' }, 'sampled'],
    ['roots', {}, 'file:///r'],
    ['test_input_required_result_multi_round', {}, ''],
    ['test_input_required_result_multiple_inputs', {}, ''],
  ])('answers the questions of %s', async (name, args, expected) => {
    const { client } = await modernClient(open());
    const result = await client.callTool({ name, arguments: args });
    expect(result.isError).not.toBe(true);
    expect(JSON.stringify(result.content)).toContain(expected);
  });

  it('answers the questions of a prompt', async () => {
    const { client } = await modernClient(open());
    const { messages } = await client.getPrompt({ name: 'test_input_required_result_prompt' });
    expect(messages.length).toBeGreaterThan(0);
  });

  it('is told which capability it lacks', async () => {
    const { client } = await modernClient(open(), {});
    const call = client.callTool({ name: 'test_missing_capability', arguments: {} });
    await expect(call).rejects.toMatchObject({ code: -32021 });
  });

  it('sees progress', async () => {
    const { client } = await modernClient(open());
    const seen: number[] = [];
    const onprogress = ({ progress }: { progress: number }): number => seen.push(progress);
    await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, { onprogress });
    expect(seen.length).toBeGreaterThanOrEqual(3);
  });

  it('hears what it listens to', async () => {
    const { client } = await modernClient(open());
    const changed = new Promise<void>((resolve) => {
      client.setNotificationHandler('notifications/tools/list_changed', () => resolve());
    });
    const subscription = await client.listen({
      toolsListChanged: true,
      resourceSubscriptions: ['test://watched-resource'],
    });
    expect(subscription.honoredFilter).toMatchObject({ toolsListChanged: true });
    await client.callTool({ name: 'test_trigger_tool_change', arguments: {} });
    await changed;
    await subscription.close();
  });

  it('cancels', async () => {
    const { client } = await modernClient(open());
    const stop = new AbortController();
    const call = client.callTool(
      { name: 'slow', arguments: { ms: 60_000, label: 'x' } },
      { signal: stop.signal },
    );
    stop.abort();
    await expect(call).rejects.toThrow();
    const { content } = await client.callTool({ name: 'test_simple_text', arguments: {} });
    expect(content).toHaveLength(1);
  });
});

describe('the SDK of the handshake era with a server that was translated there and back', () => {
  it('lists, calls, reads, pings and completes', async () => {
    const { client } = await oldClient(thereAndBack());
    expect(client.getServerVersion()).toMatchObject({ name: 'mcp-runner-fixture' });
    expect((await client.listTools()).tools.length).toBeGreaterThan(20);
    await expect(client.ping()).resolves.toEqual({});
    expect((await client.readResource({ uri: 'test://static-text' })).contents).toHaveLength(1);
    await expect(client.readResource({ uri: 'test://none' })).rejects.toMatchObject({ code: -32002 });
  });

  it.each([
    ['test_elicitation', { message: 'Who?' }, 'Ann'],
    ['test_sampling', { prompt: 'Say' }, 'sampled'],
    ['roots', {}, 'file:///r'],
    ['test_input_required_result_multi_round', {}, ''],
    ['test_input_required_result_multiple_inputs', {}, ''],
  ])('is asked by %s', async (name, args, expected) => {
    const { client } = await oldClient(thereAndBack());
    const result = await client.callTool({ name, arguments: args });
    expect(result.isError).not.toBe(true);
    expect(JSON.stringify(result.content)).toContain(expected);
  });

  it('sees log messages from the level on that it has set', async () => {
    const { client } = await oldClient(thereAndBack());
    const levels: string[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      levels.push(params.level);
    });
    await client.callTool({ name: 'test_tool_with_logging', arguments: {} });
    expect(levels.length).toBeGreaterThanOrEqual(3);
    await client.setLoggingLevel('emergency');
    const before = levels.length;
    await client.callTool({ name: 'test_tool_with_logging', arguments: {} });
    expect(levels).toHaveLength(before);
  });

  it('hears of changes', async () => {
    const { client } = await oldClient(thereAndBack());
    const tools = new Promise<void>((resolve) => {
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    });
    const resource = new Promise<string>((resolve) => {
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => resolve(params.uri));
    });
    await client.subscribeResource({ uri: 'test://watched-resource' });
    await client.callTool({ name: 'test_trigger_tool_change', arguments: {} });
    await tools;
    await client.callTool({ name: 'touch_resource', arguments: { uri: 'test://watched-resource' } });
    expect(await resource).toBe('test://watched-resource');
    await client.unsubscribeResource({ uri: 'test://watched-resource' });
  });
});

import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callText, newClient, textOf, transportTo } from '../support/client.js';
import { fixtureImage } from '../support/fixture-image.js';
import { Gate } from '../support/gate.js';
import { roundsOf } from '../support/pauses.js';
import { type Deployment, Service } from '../support/service.js';

const ROUNDS = roundsOf(25);
const REPORTS = 5;
const WATCHED = 'test://watched-resource';
const numbers = Array.from({ length: REPORTS }, (_, i) => i + 1);

/** The official client, with a note of all that came without being an answer. */
class Peer {
  readonly questions: string[] = [];
  readonly logs: unknown[] = [];
  readonly updates: string[] = [];
  listChanges = 0;
  /** Passed before a question is answered. */
  private thinking: Gate | undefined;
  private readonly transport: StreamableHTTPClientTransport;

  private constructor(
    readonly name: string,
    readonly client: Client,
    deployment: Deployment & { accessToken: string },
  ) {
    this.transport = transportTo(deployment);
  }

  static async connect(name: string, deployment: Deployment & { accessToken: string }): Promise<Peer> {
    const client = newClient({ elicitation: {}, sampling: {} });
    const peer = new Peer(name, client, deployment);
    client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
      peer.questions.push(params.message);
      await peer.thinking?.wait();
      return { action: 'accept', content: { answer: name } };
    });
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
      peer.questions.push(JSON.stringify(params.messages));
      return { role: 'assistant', model: name, content: { type: 'text', text: name } };
    });
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      peer.logs.push(params.data);
    });
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => {
      peer.updates.push(params.uri);
    });
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      peer.listChanges++;
    });
    await client.connect(peer.transport);
    return peer;
  }

  call(name: string, args: Record<string, unknown> = {}): Promise<string> {
    return callText(this.client, name, args);
  }

  /** A call that is in flight until the result is called: its question waits for an answer. */
  async hold(): Promise<() => Promise<void>> {
    const gate = new Gate();
    this.thinking = gate;
    const held = this.call('ask', { label: `held by ${this.name}` });
    await gate.reached;
    return async () => {
      this.thinking = undefined;
      gate.open();
      await held;
      this.questions.length = 0;
    };
  }

  async leave(): Promise<void> {
    await this.transport.terminateSession();
    await this.client.close();
  }
}

/** Progress and an answer at once. */
async function play(peer: Peer, round: number): Promise<void> {
  const label = `${peer.name}/${round}`;
  const heard: (string | undefined)[] = [];
  const [progress, echo] = await Promise.all([
    peer.client.callTool({ name: 'progress', arguments: { n: REPORTS, label } }, undefined, {
      onprogress: ({ message }) => void heard.push(message),
    }),
    peer.call('echo', { text: label }),
  ]);
  expect([textOf(progress), echo]).toEqual([`${label} done`, label]);
  expect(heard).toEqual(numbers.map((number) => `${label} ${number}`));
}

describe('a deployment whose sessions share one server process', () => {
  let service: Service;
  let deployment: Deployment & { accessToken: string };
  let one: Peer;
  let two: Peer;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    deployment = await service.deploy({ image, sessionMode: 'shared' });
  });

  afterAll(() => service.stop());

  beforeEach(async () => {
    [one, two] = await Promise.all([Peer.connect('one', deployment), Peer.connect('two', deployment)]);
  });

  afterEach(async () => {
    await Promise.all([one.leave(), two.leave()]);
  });

  it('has one process for all of them, which stays when they leave', async () => {
    const pids = await Promise.all([one, two].map((peer) => peer.call('whoami')));
    const [first] = pids.map((text) => (JSON.parse(text) as { pid: number }).pid);
    const before = Number(await one.call('session_counter'));
    expect(Number(await two.call('session_counter'))).toBe(before + 1);
    await two.leave();
    two = await Peer.connect('two', deployment);
    expect(Number(await two.call('session_counter'))).toBe(before + 2);
    expect((JSON.parse(await two.call('whoami')) as { pid: number }).pid).toBe(first);
  });

  it('says the same to each of them, and offers what works', () => {
    expect(one.client.getServerCapabilities()).toEqual(two.client.getServerCapabilities());
    expect(one.client.getServerVersion()?.name).toBe('mcp-runner-fixture');
    expect(one.client.getServerCapabilities()).toMatchObject({
      logging: {},
      resources: { subscribe: true },
      tools: { listChanged: true },
    });
    expect(one.client.getServerCapabilities()).not.toHaveProperty('tasks');
  });

  it('gives each its own answers and progress, though their ids and tokens are the same', async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      await Promise.all([one, two].map((peer) => play(peer, round)));
    }
  });

  it('gives log messages to the session that alone has calls in flight, and to no other', async () => {
    for (const peer of [one, two]) await peer.call('log', { n: REPORTS, label: peer.name });
    for (const { name, logs } of [one, two]) {
      expect(logs.splice(0)).toEqual(numbers.map((number) => ({ label: name, number })));
    }
    const release = await one.hold();
    await two.call('log', { n: REPORTS, label: 'whose?' });
    await release();
    expect([one.logs, two.logs]).toEqual([[], []]);
  });

  it('keeps a session to the log level that it has set, and that one only', async () => {
    await one.client.setLoggingLevel('error');
    for (const peer of [one, two]) await peer.call('log', { n: 1, label: peer.name });
    expect([one.logs.length, two.logs.length]).toEqual([0, 1]);
    await one.client.setLoggingLevel('debug');
    await one.call('log', { n: 1, label: 'one' });
    expect([one.logs.length, two.logs.length]).toEqual([1, 1]);
  });

  it("puts the server's questions to the session that alone has calls in flight, and refuses them otherwise", async () => {
    for (const peer of [one, two, one]) {
      const answer = JSON.parse(await peer.call('ask', { label: peer.name })) as { content: object };
      expect(answer.content).toEqual({ answer: peer.name });
      const sampled = JSON.parse(await peer.call('sample', { label: peer.name })) as { model: string };
      expect(sampled.model).toBe(peer.name);
    }
    for (const { name, questions } of [one, two]) {
      expect(questions.length).toBeGreaterThan(0);
      for (const question of questions.splice(0)) expect(question).toContain(` ${name}`);
    }
    const release = await one.hold();
    await expect(two.call('ask', { label: 'two' })).rejects.toThrow('cannot be told which client');
    await release();
    await expect(two.call('roots')).rejects.toThrow('does not offer roots');
    expect([one.questions, two.questions]).toEqual([[], []]);
  });

  it('refuses a question to a client that cannot be asked', async () => {
    const mute = newClient();
    const transport = transportTo(deployment);
    await mute.connect(transport);
    try {
      await expect(callText(mute, 'ask', { label: 'x' })).rejects.toThrow('does not support elicitation');
    } finally {
      await transport.terminateSession();
      await mute.close();
    }
  });

  it('tells all of a changed list', async () => {
    await one.call('add_tool', { name: 'extra' });
    await expect.poll(() => [one.listChanges, two.listChanges]).toEqual([1, 1]);
    const { tools } = await two.client.listTools();
    expect(tools.map(({ name }) => name)).toContain('extra');
  });

  it('tells of a changed resource those who watch it, and the server as long as anybody does', async () => {
    const touch = (): Promise<string> => two.call('touch_resource', { uri: WATCHED });
    expect(await touch()).toBe('false');
    await one.client.subscribeResource({ uri: WATCHED });
    expect(await touch()).toBe('true');
    await expect.poll(() => one.updates).toEqual([WATCHED]);
    await two.client.subscribeResource({ uri: WATCHED });
    await one.client.unsubscribeResource({ uri: WATCHED });
    expect(await touch()).toBe('true');
    await expect.poll(() => two.updates).toEqual([WATCHED]);
    expect(one.updates).toEqual([WATCHED]);
    await two.leave();
    two = await Peer.connect('two', deployment);
    expect(await touch()).toBe('false');
  });

  it('cancels the calls of a session that leaves, and the others go on', async () => {
    const third = await Peer.connect('third', deployment);
    const label = 'third waits';
    const left = third.call('slow', { ms: 3_600_000, label }).catch(() => 'cancelled');
    // A call of the same session that is answered behind it proves that the server has it.
    await third.call('echo', { text: label });
    await third.leave();
    expect(await left).toBe('cancelled');
    await expect.poll(async () => JSON.parse(await one.call('cancellations')) as string[]).toContain(label);
    expect(await two.call('echo', { text: 'still here' })).toBe('still here');
  });

  it('ends all their calls with the reason when the process exits, and the next session has another one', async () => {
    const before = Number(await one.call('session_counter'));
    const held = two.client.callTool({ name: 'slow', arguments: { ms: 3_600_000, label: 'held' } });
    const outcome = held.then(
      () => 'answered',
      (error: Error) => error.message,
    );
    await two.call('echo', { text: 'the server has it' });
    await expect(one.call('exit', { code: 3 })).rejects.toThrow('exited with code 3');
    expect(await outcome).toContain('exited with code 3');
    await Promise.all([one.client.close(), two.client.close()]);
    [one, two] = await Promise.all([Peer.connect('one', deployment), Peer.connect('two', deployment)]);
    const counts = [await one.call('session_counter'), await two.call('session_counter')].map(Number);
    expect(before).toBeGreaterThan(1);
    expect(counts).toEqual([1, 2]);
  });
});

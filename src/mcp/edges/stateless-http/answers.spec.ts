import { AppError } from '../../../errors/app-error.js';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type EdgeServer, note, startEdge } from '../../../../test/support/edge-server.js';
import type { Exchange } from '../../../../test/support/http-exchange.js';
import { headersOf, modern, type ModernOptions, tool } from '../../../../test/support/modern-request.js';
import type { ReadMessage, Script } from '../../../../test/support/scripted-process.js';

let edge: EdgeServer;

/** What the arguments ask for comes first, then the answer; `hold` leaves the answer to the spec. */
const server: Script = ({ id, method, params }, process) => {
  if (id === undefined || method === 'tools/list')
    return process.say({ jsonrpc: '2.0', id, result: { tools: [] } });
  const args = (params?.['arguments'] ?? {}) as {
    first?: object[];
    hold?: boolean;
    error?: object;
    result?: object;
  };
  for (const first of args.first ?? []) process.say(first);
  if (args.hold === true || method === 'subscriptions/listen') return;
  process.say({
    jsonrpc: '2.0',
    id,
    ...(args.error ? { error: args.error } : { result: args.result ?? {} }),
  });
};

const ask = (message: ReturnType<typeof modern>, headers: Record<string, string> = {}): Promise<Exchange> =>
  edge.ask(message, { ...headersOf(message), ...headers });
const askTool = async (
  id: number | string,
  args: object = {},
  options: ModernOptions = {},
): Promise<Exchange> => (await ask(tool(id, args, options))).whole();
/** What the process was told, but for our own question after its tools. */
const told = (): ReadMessage[] => edge.process.read.filter(({ method }) => method !== 'tools/list');
const heard = async (n: number): Promise<ReadMessage> => {
  await vi.waitFor(() => expect(told().length).toBeGreaterThan(n));
  return told()[n] as ReadMessage;
};
const log = (level: string): object => note('notifications/message', { level, data: 'x' });

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  edge = await startEdge(server);
});

afterEach(async () => {
  expect(edge.faults).toEqual([]);
  expect(edge.counts.leases).toBe(0);
  expect(edge.counts.calls).toBe(0);
  await edge.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('the answer to a request of the modern era', () => {
  it.each([1, 'one', '1', 9007199254740991])('carries its id %j, which the server never sees', async (id) => {
    const reply = await askTool(id, { result: { ok: true } });
    expect([reply.status, reply.type]).toEqual([200, 'application/json']);
    expect(reply.json).toEqual({ jsonrpc: '2.0', id, result: { ok: true } });
    expect(typeof (await heard(0)).id).toBe('number');
  });

  it('is a stream without event ids as soon as anything comes before it', async () => {
    const asked = ask(tool(1, { hold: true }, { token: 'mine' }));
    const { id, params } = await heard(0);
    const { progressToken } = (params as { _meta: { progressToken: unknown } })['_meta'];
    edge.process.say(note('notifications/progress', { progressToken, progress: 1 }));
    edge.process.say({ jsonrpc: '2.0', id, result: {} });
    const reply = await (await asked).whole();
    expect(reply.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    expect(reply.messages).toEqual([
      note('notifications/progress', { progressToken: 'mine', progress: 1 }),
      { jsonrpc: '2.0', id: 1, result: {} },
    ]);
    expect(reply.events.map((event) => event.id)).toEqual([undefined, undefined]);
  });

  it('becomes a stream after five seconds of silence', async () => {
    const asked = ask(tool(1, { hold: true }));
    const { id } = await heard(0);
    vi.advanceTimersByTime(5000);
    const reply = await asked;
    expect(reply.type).toBe('text/event-stream');
    edge.process.say({ jsonrpc: '2.0', id, result: {} });
    expect((await reply.whole()).messages).toHaveLength(1);
  });

  it.each([
    [-32601, 404],
    [-32020, 400],
    [-32021, 400],
    [-32022, 400],
    [-32602, 200],
    [-32603, 200],
    [-1, 200],
  ])('with error %d has status %d', async (code, status) => {
    const reply = await askTool(1, { error: { code, message: 'no' } });
    expect([reply.status, reply.json]).toMatchObject([status, { id: 1, error: { code } }]);
  });

  it('comes as the one kind that the client accepts', async () => {
    const message = tool(1, { first: [log('info')] }, { logLevel: 'info' });
    const json = await (await ask(message, { accept: 'application/json' })).whole();
    expect(json.json).toMatchObject({ id: 1 });
    const stream = await (await ask(tool(2), { accept: 'text/event-stream' })).whole();
    expect(stream.messages).toMatchObject([{ id: 2 }]);
  });

  it.each(['application/json, text/event-stream', 'text/event-stream'])(
    'is an error that ends the stream when no server can be had after it began, for %s',
    async (accept) => {
      await edge.close();
      let fail: ((error: Error) => void) | undefined;
      const isNative = (): Promise<boolean> => new Promise((_resolve, reject) => (fail = reject));
      edge = await startEdge(server, {
        modern: { isNative, open: () => Promise.reject(new Error('not asked')) },
      });
      const asked = ask(tool(1), { accept });
      await vi.waitFor(() => expect(edge.counts.leases).toBe(1));
      vi.advanceTimersByTime(5000);
      const reply = await asked;
      fail?.(new AppError('start_timeout'));
      await reply.whole();
      expect(reply.messages).toMatchObject([{ id: 1, error: { data: { code: 'start_timeout' } } }]);
      await vi.waitFor(() => expect(edge.counts.leases).toBe(0));
    },
  );

  it('is an error that says why when the server exits', async () => {
    const asked = ask(tool(1, { hold: true }));
    await heard(0);
    edge.process.complain('out of cheese\n');
    edge.process.exit(3);
    const reply = await (await asked).whole();
    expect(reply.json).toMatchObject({ id: 1, error: { data: { code: 'server_exited' } } });
    expect(reply.text).toContain('out of cheese');
    expect((await askTool(2)).json).toMatchObject({ id: 2, result: {} });
    expect(edge.processes).toHaveLength(2);
  });
});

describe('log messages', () => {
  it('reach only a request that asked for them, from its level on', async () => {
    const first = [log('debug'), log('warning'), log('error')];
    expect((await askTool(1, { first })).type).toBe('application/json');
    const asked = await askTool(2, { first }, { logLevel: 'warning' });
    expect(asked.messages.slice(0, -1)).toEqual([log('warning'), log('error')]);
  });

  it('of two requests at once come from a process each', async () => {
    const asked = ['a', 'b'].map((id) => ask(tool(id, { hold: true }, { logLevel: 'debug' })));
    await vi.waitFor(() => expect(edge.processes.map(({ lines }) => lines.length)).toEqual([2, 2]));
    for (const [n, process] of edge.processes.entries()) {
      process.say(log(n === 0 ? 'info' : 'error'));
      process.say({ jsonrpc: '2.0', id: process.read[1]?.id, result: {} });
    }
    const replies = await Promise.all(asked.map(async (reply) => (await reply).whole()));
    expect(replies.map(({ messages }) => messages)).toEqual([
      [log('info'), { jsonrpc: '2.0', id: 'a', result: {} }],
      [log('error'), { jsonrpc: '2.0', id: 'b', result: {} }],
    ]);
  });
});

describe('a client that leaves', () => {
  it('cancels its request, and nothing more comes of it', async () => {
    const reply = await ask(tool('mine', { hold: true, first: [] }), { accept: 'text/event-stream' });
    const { id } = await heard(0);
    reply.leave();
    expect(await heard(1)).toMatchObject({ method: 'notifications/cancelled', params: { requestId: id } });
    edge.process.say({ jsonrpc: '2.0', id, result: {} });
    expect((await askTool(2)).json).toMatchObject({ id: 2 });
    expect(told()).toHaveLength(3);
  });

  it('before its server is there asks nothing of it', async () => {
    await edge.close();
    let open: (() => void) | undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    edge = await startEdge(server, {
      modern: {
        isNative: async () => (await opened, true),
        open: () => Promise.reject(new Error('not asked')),
      },
    });
    const reply = await ask(tool(1), { accept: 'text/event-stream' });
    reply.leave();
    await vi.waitFor(() => expect(edge.counts.leases).toBe(0));
    open?.();
    await vi.waitFor(() => expect(edge.counts.handled).toBe(0));
  });
});

const tagged = (method: string, subscriptionId: unknown): object =>
  note(method, { _meta: { 'io.modelcontextprotocol/subscriptionId': subscriptionId } });

const ended = (subscriptionId: unknown): object => ({
  resultType: 'complete',
  _meta: { 'io.modelcontextprotocol/subscriptionId': subscriptionId },
});

describe('a subscription', () => {
  const listen = modern('sub', 'subscriptions/listen', { notifications: { toolsListChanged: true } });

  it('gets what is tagged with it, under its own id, until it ends', async () => {
    const asked = ask(listen);
    const { id } = await heard(0);
    edge.process.say(tagged('notifications/subscriptions/acknowledged', id));
    const reply = await asked;
    edge.process.say(
      tagged('notifications/tools/list_changed', id),
      tagged('notifications/tools/list_changed', 999),
    );
    edge.process.say({ jsonrpc: '2.0', id, result: ended(id) });
    await reply.whole();
    expect(reply.messages).toEqual([
      tagged('notifications/subscriptions/acknowledged', 'sub'),
      tagged('notifications/tools/list_changed', 'sub'),
      { jsonrpc: '2.0', id: 'sub', result: ended('sub') },
    ]);
  });

  it('ends with the cancellation of the server', async () => {
    const asked = ask(listen);
    const { id } = await heard(0);
    edge.process.say(
      tagged('notifications/subscriptions/acknowledged', id),
      note('notifications/cancelled', { requestId: id }),
    );
    const reply = await (await asked).whole();
    expect(reply.messages.at(-1)).toEqual(note('notifications/cancelled', { requestId: 'sub' }));
  });

  it('is no work in flight, and is cancelled when its client leaves', async () => {
    const asked = ask(listen);
    const { id } = await heard(0);
    expect(edge.counts.leases).toBe(0);
    expect(edge.counts.calls).toBe(1);
    edge.process.say(tagged('notifications/subscriptions/acknowledged', id));
    (await asked).leave();
    expect(await heard(1)).toMatchObject({ method: 'notifications/cancelled', params: { requestId: id } });
  });
});

describe('the server', () => {
  it('that sends a request is told that it must not', async () => {
    const asked = ask(tool(1, { hold: true }));
    const { id } = await heard(0);
    edge.process.say({ jsonrpc: '2.0', id: 77, method: 'roots/list' });
    expect(await heard(1)).toMatchObject({ id: 77, error: { code: -32601 } });
    edge.process.say({ jsonrpc: '2.0', id, result: {} });
    await (await asked).whole();
  });

  it('is asked for headers of its tools, which clients must repeat', async () => {
    await edge.close();
    const inputSchema = {
      type: 'object',
      properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
    };
    edge = await startEdge((message, process) => {
      const result = message.method === 'tools/list' ? { tools: [{ name: 'echo', inputSchema }] } : {};
      process.say({ jsonrpc: '2.0', id: message.id, result });
    });
    const missing = await askTool(1, { region: 'eu' });
    expect([missing.status, missing.json]).toMatchObject([400, { id: 1, error: { code: -32020 } }]);
    const there = await (await ask(tool(1, { region: 'eu' }), { 'mcp-param-region': 'eu' })).whole();
    expect(there.status).toBe(200);
    expect(told()).toHaveLength(1);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { call, type EdgeServer, initialize, note, startEdge } from '../../../../test/support/edge-server.js';
import { mcpServer } from '../../../../test/support/scripted-process.js';

let edge: EdgeServer;

/** What it is asked to say comes first, then the answer; `hold` leaves the answer to the spec. */
const server = mcpServer(({ id, params }, process) => {
  if (id === undefined || !params) return;
  for (const first of (params['first'] as object[] | undefined) ?? []) process.say(first);
  if (params['hold'] !== true) process.say({ jsonrpc: '2.0', id, result: params['result'] ?? {} });
});

const log = note('notifications/message', { data: 'x' });

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

describe('the answer to a POST', () => {
  it('of notifications and responses is 202 without a body', async () => {
    const session = await edge.open();
    for (const message of [note('notifications/initialized'), { jsonrpc: '2.0', id: 1, result: {} }]) {
      const reply = await (await edge.ask(message, session)).whole();
      expect([reply.status, reply.text]).toEqual([202, '']);
    }
    expect(edge.process.lines).toHaveLength(2);
  });

  it('is one JSON body when it is the first thing to come', async () => {
    const session = await edge.open();
    const reply = await (await edge.ask(call('a', { result: { n: 1 } }), session)).whole();
    expect([reply.status, reply.type]).toEqual([200, 'application/json']);
    expect(reply.json).toEqual({ jsonrpc: '2.0', id: 'a', result: { n: 1 } });
    expect(reply.headers['mcp-session-id']).toBeUndefined();
  });

  it('to initialize carries the session id', async () => {
    const reply = await (await edge.ask(initialize('2025-11-25', 'init'))).whole();
    expect(reply.json).toMatchObject({ id: 'init', result: { protocolVersion: '2025-11-25' } });
    expect(reply.headers['mcp-session-id']).toMatch(/^[\w-]{43}$/);
    expect(edge.counts.opened).toBe(1);
  });

  it('is a stream when something else comes before it', async () => {
    const session = await edge.open();
    const reply = await (await edge.ask(call(7, { first: [log] }), session)).whole();
    expect([reply.status, reply.type]).toEqual([200, 'text/event-stream']);
    expect(reply.headers['x-accel-buffering']).toBe('no');
    expect(reply.messages).toEqual([log, { jsonrpc: '2.0', id: 7, result: {} }]);
    expect(
      reply.events.every((event) => event.event === 'message' && /^1-\d+-Nw$/.test(event.id ?? '')),
    ).toBe(true);
  });

  it('becomes a stream after 5 s of silence and not before', async () => {
    const session = await edge.open();
    const asked = edge.ask(call(1, { hold: true }), session);
    await edge.process.told(1);
    let head = false;
    void asked.then(() => (head = true));
    vi.advanceTimersByTime(4999);
    await new Promise((resolve) => setImmediate(resolve));
    expect(head).toBe(false);
    vi.advanceTimersByTime(1);
    const reply = await asked;
    expect([reply.type, reply.text]).toEqual(['text/event-stream', '']);
    edge.process.say({ jsonrpc: '2.0', id: 2, result: { late: true } });
    expect((await reply.whole()).messages).toEqual([{ jsonrpc: '2.0', id: 1, result: { late: true } }]);
  });

  it.each([
    ['application/json', 'application/json'],
    ['application/*', 'application/json'],
    ['text/event-stream', 'text/event-stream'],
    ['text/*;q=0.1', 'text/event-stream'],
    ['*/*', 'application/json'],
    [undefined, 'application/json'],
    ['Text/Event-Stream , APPLICATION/JSON;q=0.5', 'application/json'],
    ['application/json;q=0, text/event-stream', 'text/event-stream'],
  ])('for a client that accepts %s is %s', async (accept, type) => {
    const session = await edge.open();
    const reply = await (await edge.ask(call(1), { ...session, accept })).whole();
    expect([reply.status, reply.type]).toEqual([200, type]);
    expect(reply.text).toContain('"result":{}');
  });

  it('for a client that takes JSON alone stays one body, whatever comes first and however late', async () => {
    const session = { ...(await edge.open()), accept: 'application/json' };
    const asked = edge.ask(call(1, { first: [log], hold: true }), session);
    await edge.process.told(1);
    vi.advanceTimersByTime(60_000);
    edge.process.say({ jsonrpc: '2.0', id: 2, result: {} });
    expect((await (await asked).whole()).json).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
  });

  it.each([
    ['2025-03-26', false],
    ['2025-06-18', false],
    ['2025-11-25', true],
  ])('as a stream of revision %s begins with an id to resume from: %s', async (revision, primed) => {
    const session = await edge.open(revision);
    const reply = await (await edge.ask(call(1, { first: [log] }), session)).whole();
    expect(reply.events[0]?.data === '').toBe(primed);
    expect(reply.text.startsWith('id: 1-1-MQ\ndata: \n\n')).toBe(primed);
  });

  it('to a batch is one array when the answers are the first to come', async () => {
    const session = await edge.open('2025-03-26');
    const batch = [call(1), note('notifications/x'), call('1'), call(1)];
    const reply = await (await edge.ask(batch, session)).whole();
    expect(reply.type).toBe('application/json');
    expect((reply.json as { id: unknown }[]).map(({ id }) => id)).toEqual([1, '1', 1]);
    expect((await (await edge.ask([call(5)], session)).whole()).json).toEqual([
      { jsonrpc: '2.0', id: 5, result: {} },
    ]);
    expect((await edge.ask([note('n')], session)).status).toBe(202);
  });

  it('to a batch is a stream with every answer when something else comes between', async () => {
    const session = await edge.open('2025-03-26');
    const reply = await (await edge.ask([call(1), call(2, { first: [log] }), call(3)], session)).whole();
    expect(reply.type).toBe('text/event-stream');
    expect(reply.messages.map((message) => message['id'] ?? message['method'])).toEqual([
      1,
      'notifications/message',
      2,
      3,
    ]);
  });

  it('comes to each of many at once that use the same id and token', async () => {
    const session = await edge.open();
    const asks = Array.from({ length: 50 }, (_, n) =>
      edge.ask(call(1, { result: { n }, _meta: { progressToken: 1 } }), session),
    );
    const replies = await Promise.all(asks.map(async (asked) => (await asked).whole()));
    expect(replies.map((reply) => reply.json)).toEqual(
      Array.from({ length: 50 }, (_, n) => ({ jsonrpc: '2.0', id: 1, result: { n } })),
    );
  });

  it('carries a question of the server, whose answer comes by another POST', async () => {
    const session = await edge.open();
    const question = { jsonrpc: '2.0', id: 'q', method: 'elicitation/create' };
    const reply = await edge.ask(call(1, { first: [question], hold: true }), session);
    await reply.until(() => reply.messages.length === 1);
    const answer = { jsonrpc: '2.0', id: reply.messages[0]?.['id'], result: { action: 'accept' } };
    expect((await edge.ask(answer, session)).status).toBe(202);
    expect(await edge.process.told(2)).toEqual({ ...answer, id: 'q' });
    edge.process.say({ jsonrpc: '2.0', id: 2, result: {} });
    expect((await reply.whole()).messages).toHaveLength(2);
  });

  it('that the client cancels is an error, and the HTTP request ends', async () => {
    const session = await edge.open();
    const asked = edge.ask(call('slow', { hold: true }), session);
    await edge.process.told(1);
    const cancelled = note('notifications/cancelled', { requestId: 'slow' });
    expect((await edge.ask(cancelled, session)).status).toBe(202);
    expect((await (await asked).whole()).json).toMatchObject({ id: 'slow', error: {} });
  });

  it('is an error at once when the server exits, as JSON and as a stream', async () => {
    const session = await edge.open();
    const plain = edge.ask(call(1, { hold: true }), { ...session, accept: 'application/json' });
    await edge.process.told(1);
    const streamed = await edge.ask(call(2, { first: [log], hold: true }), session);
    edge.process.complain('boom');
    edge.process.exit(1);
    const [first, second] = [await (await plain).whole(), await streamed.whole()];
    const error = {
      message: 'The server exited with code 1. It said:\nboom',
      data: { code: 'server_exited' },
    };
    expect(first.json).toMatchObject({ id: 1, error });
    expect(second.messages).toMatchObject([log, { id: 2, error }]);
    expect(edge.sessions.count('dp_a')).toBe(0);
    const next = await (await edge.ask(call(3, { result: { n: 3 } }), session)).whole();
    expect(next.json).toEqual({ jsonrpc: '2.0', id: 3, result: { n: 3 } });
    expect(edge.processes).toHaveLength(2);
    expect(edge.process.read.map(({ method }) => method)).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/call',
    ]);
    expect(edge.process.read[0]?.params).toEqual(edge.processes[0]?.read[0]?.params);
    expect(edge.sessions.count('dp_a')).toBe(1);
  });

  it('of 8 MB comes whole, with characters of four bytes', async () => {
    const session = await edge.open();
    const text = '\ud83d\ude80'.repeat(2 << 20);
    for (const first of [[], [log]]) {
      const asked = edge.ask(call(1, { hold: true, first }), session);
      const { id } = await edge.process.told(edge.process.lines.length);
      edge.process.say({ jsonrpc: '2.0', id, result: { text } });
      const reply = await (await asked).whole();
      expect(reply.text.includes(text)).toBe(true);
    }
  });
});

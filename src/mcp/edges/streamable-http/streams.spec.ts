import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, type EdgeServer, note, startEdge } from '../../../../test/support/edge-server.js';

let edge: EdgeServer;
let sockets: Socket[];

beforeEach(async () => {
  edge = await startEdge();
  sockets = [];
  edge.server.on('connection', (socket: Socket) => sockets.push(socket));
});

afterEach(async () => {
  expect(edge.faults).toEqual([]);
  await edge.close();
});

function log(data: unknown): object {
  return note('notifications/message', { data });
}

/** Connections on which the server waits for its client. */
function waitedFor(): Socket[] {
  return sockets.filter((socket) => socket.timeout === 30_000 && !socket.destroyed);
}

async function stalled(): Promise<Socket> {
  await expect.poll(waitedFor).toHaveLength(1);
  return waitedFor()[0] as Socket;
}

describe('the GET stream', () => {
  it('begins with what was said before anybody listened, once', async () => {
    const session = await edge.open();
    edge.process.say(log(1), log(2));
    const first = await edge.listen(session);
    await first.until(() => first.messages.length === 2);
    expect(first.messages).toEqual([log(1), log(2)]);
    expect([first.status, first.type]).toEqual([200, 'text/event-stream']);
    first.leave();
    await expect.poll(() => sockets.every((socket) => socket.destroyed)).toBe(true);
    edge.process.say(log(3));
    const second = await edge.listen(session);
    await second.until(() => second.messages.length > 0);
    expect(second.messages).toEqual([log(3)]);
  });

  it('carries no answers', async () => {
    const session = await edge.open();
    const stream = await edge.listen(session);
    const asked = edge.ask(call(1), session);
    await edge.process.told(1);
    edge.process.say({ jsonrpc: '2.0', id: 2, result: {} }, log('later'));
    expect((await (await asked).whole()).json).toMatchObject({ id: 1 });
    await stream.until(() => stream.messages.length > 0);
    expect(stream.messages).toEqual([log('later')]);
  });

  it('that is opened last takes over, and the earlier one ends', async () => {
    const session = await edge.open();
    const first = await edge.listen(session);
    const second = await edge.listen(session);
    await first.whole();
    expect(first.broken).toBe(false);
    edge.process.say(log(1));
    await second.until(() => second.messages.length > 0);
    expect(first.messages).toEqual([]);
  });

  it('ends with the session', async () => {
    const session = await edge.open();
    const stream = await edge.listen(session);
    await edge.remove(session);
    await stream.whole();
    expect(stream.broken).toBe(false);
    expect((await edge.listen(session)).status).toBe(404);
  });

  it('stays open when the server exits, and carries what the next process says', async () => {
    const session = await edge.open();
    const stream = await edge.listen(session);
    edge.process.say(log(1));
    edge.process.exit(0);
    const asked = edge.ask(call(1), session);
    await expect.poll(() => edge.processes.length).toBe(2);
    const { id } = await edge.process.told(2);
    edge.process.say({ jsonrpc: '2.0', id, result: {} });
    expect((await (await asked).whole()).json).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    edge.process.say(log(2));
    await stream.until(() => stream.messages.length === 2);
    expect(stream.messages).toEqual([log(1), log(2)]);
    expect(stream.events.map(({ id }) => id)).toEqual(['0-1', '0-2']);
    expect(stream.ended).toBe(false);
  });

  it('resumes from any event it still has, and goes on', async () => {
    const session = await edge.open();
    const first = await edge.listen(session);
    for (let n = 1; n <= 5; n++) edge.process.say(log(n));
    await first.until(() => first.messages.length === 5);
    const lastId = String(first.events[1]?.id);
    const second = await edge.listen({ ...session, 'last-event-id': lastId });
    await second.until(() => second.messages.length === 3);
    edge.process.say(log(6));
    await second.until(() => second.messages.length === 4);
    expect(second.messages).toEqual([3, 4, 5, 6].map(log));
    expect(second.events.map(({ id }) => id)).toEqual(['0-3', '0-4', '0-5', '0-6']);
  });
});

describe('the stream of a POST', () => {
  it('that broke resumes by GET with the answer, and without what belongs elsewhere', async () => {
    const session = await edge.open('2025-11-25');
    const ambient = await edge.listen(session);
    const asked = edge.ask(call(1, { _meta: { progressToken: 'p' } }), session);
    await edge.process.told(1);
    edge.process.say(note('notifications/progress', { progressToken: 2, progress: 1 }));
    const broken = await asked;
    await broken.until(() => broken.messages.length === 1);
    const lastId = String(broken.events[0]?.id);
    broken.leave();
    edge.process.say(note('notifications/tools/list_changed'), {
      jsonrpc: '2.0',
      id: 2,
      result: { done: true },
    });
    const resumed = await (await edge.listen({ ...session, 'last-event-id': lastId })).whole();
    expect(resumed.messages).toEqual([
      note('notifications/progress', { progressToken: 'p', progress: 1 }),
      { jsonrpc: '2.0', id: 1, result: { done: true } },
    ]);
    await ambient.until(() => ambient.messages.length > 0);
    expect(ambient.messages).toEqual([note('notifications/tools/list_changed')]);
    expect(ambient.ended).toBe(false);
    expect(edge.counts.leases).toBe(0);
    expect(edge.counts.calls).toBe(0);
  });

  it('resumes while its call is still at work, and takes the rest', async () => {
    const session = await edge.open();
    const asked = edge.ask(call(1), session);
    await edge.process.told(1);
    edge.process.say(log('a'));
    const first = await asked;
    await first.until(() => first.messages.length === 1);
    const second = await edge.listen({ ...session, 'last-event-id': String(first.events[0]?.id) });
    await first.whole();
    edge.process.say(log('b'), { jsonrpc: '2.0', id: 2, result: {} });
    expect((await second.whole()).messages).toEqual([log('b'), { jsonrpc: '2.0', id: 1, result: {} }]);
  });

  it('of the last 32 that were answered can be resumed; older ones are refused', async () => {
    const session = await edge.open();
    for (let n = 0; n < 33; n++) {
      const asked = edge.ask(call(n), session);
      await edge.process.told(n + 1);
      edge.process.say(log(n), { jsonrpc: '2.0', id: n + 2, result: { n } });
      await (await asked).whole();
    }
    expect((await edge.listen({ ...session, 'last-event-id': '1-1' })).status).toBe(400);
    const resumed = await (await edge.listen({ ...session, 'last-event-id': '2-1' })).whole();
    expect(resumed.messages).toEqual([{ jsonrpc: '2.0', id: 1, result: { n: 1 } }]);
  });
});

describe('a client that does not read', () => {
  const large = 'x'.repeat(16 << 20);
  const answer = { jsonrpc: '2.0', id: 2, result: { large } };

  it('holds back its server, is cut off when it takes nothing for 30 s, and can resume', async () => {
    const session = await edge.open('2025-11-25');
    const asked = edge.ask(call(1), session);
    await edge.process.told(1);
    edge.process.say(log('first'));
    const reply = await asked;
    reply.pause();
    edge.process.say(answer);
    expect(edge.process.paused).toBe(true);
    const socket = await stalled();
    edge.process.say(log('behind'));
    expect(edge.process.waiting).toBe(1);
    // The socket's own timer says that nothing was taken; half a minute is too long for a test.
    socket.emit('timeout');
    await expect.poll(() => edge.process.paused).toBe(false);
    expect(socket.destroyed).toBe(true);
    const resumed = await (await edge.listen({ ...session, 'last-event-id': '1-1' })).whole();
    expect(resumed.messages.at(-1)).toEqual({ ...answer, id: 1 });
    const ambient = await edge.listen(session);
    await ambient.until(() => ambient.messages.length > 0);
    expect(ambient.messages).toEqual([log('behind')]);
  });

  it('but begins again gets everything, and its connection is under no deadline any more', async () => {
    const session = await edge.open();
    const reply = await edge.listen(session);
    reply.pause();
    edge.process.say(log(large), log('last'));
    const socket = await stalled();
    expect(edge.process.paused).toBe(true);
    reply.resume();
    await reply.until(() => reply.chars > large.length && reply.text.includes('"last"'));
    expect(reply.messages).toEqual([log(large), log('last')]);
    expect(socket.timeout).toBe(0);
    expect(edge.process.paused).toBe(false);
  });

  it('of a JSON body holds back its server as well', async () => {
    const session = { ...(await edge.open()), accept: 'application/json' };
    const asked = edge.ask(call(1), session);
    await edge.process.told(1);
    edge.process.say(answer);
    expect(edge.process.paused).toBe(true);
    const reply = await asked;
    await reply.whole();
    expect(reply.text).toContain(large);
    await expect.poll(() => edge.process.paused).toBe(false);
    const gone = edge.ask(call(2), session);
    await edge.process.told(2);
    edge.process.say({ ...answer, id: 3 });
    const slow = await gone;
    slow.pause();
    (await stalled()).emit('timeout');
    await expect.poll(() => edge.process.paused).toBe(false);
  });

  it('and leaves releases its server', async () => {
    const session = await edge.open();
    const reply = await edge.listen(session);
    reply.pause();
    edge.process.say(log(large));
    await stalled();
    reply.leave();
    await expect.poll(() => edge.process.paused).toBe(false);
  });

  it('of small answers never waits', async () => {
    const session = await edge.open();
    for (let n = 0; n < 20; n++) {
      const asked = edge.ask(call(n), session);
      await edge.process.told(n + 1);
      edge.process.say({ jsonrpc: '2.0', id: n + 2, result: { text: 'x'.repeat(10_000) } });
      expect(edge.process.paused).toBe(false);
      await (await asked).whole();
    }
  });
});

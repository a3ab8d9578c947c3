import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  call,
  echo,
  type EdgeServer,
  initialize,
  note,
  startEdge,
} from '../../../../test/support/edge-server.js';
import { MemorySessionStore } from '../../../../test/support/memory-session-store.js';
import { mcpServer, type Script } from '../../../../test/support/scripted-process.js';

const DAY = 24 * 3_600_000;
const LOG = note('notifications/message', { data: 'x' });

const edges: EdgeServer[] = [];

/** One life of the control plane; the store outlives it. */
async function live(store: MemorySessionStore, script?: Script): Promise<EdgeServer> {
  const edge = await startEdge(script, {}, { store });
  edges.push(edge);
  return edge;
}

/** As a control plane that stops: sessions are left in the store. */
async function die(edge: EdgeServer): Promise<void> {
  await edge.sessions.stopAll('The service is restarting');
  await edge.close();
}

afterEach(async () => {
  vi.useRealTimers();
  for (const edge of edges.splice(0)) {
    if (edge.server.listening) await edge.close();
    expect(edge.counts.leases).toBe(0);
    expect(edge.counts.calls).toBe(0);
    expect([edge.sessions.count('dp_a'), edge.sessions.size]).toEqual([0, 0]);
    expect(edge.faults).toEqual([]);
    expect(edge.processes.map(({ ends }) => ends)).toEqual(edge.processes.map(() => 1));
  }
});

describe('a session of an earlier control plane', () => {
  it('goes on under its id, in a process that is told what the first one was', async () => {
    const store = new MemorySessionStore();
    const first = await live(store, echo);
    const session = await first.open('2025-11-25');
    await (await first.ask({ ...call(1, { level: 'debug' }), method: 'logging/setLevel' }, session)).whole();
    await die(first);
    const second = await live(store, echo);
    expect(second.sessions.size).toBe(0);
    const reply = await (await second.ask(call('x', { n: 1 }), session)).whole();
    expect(reply.json).toEqual({ jsonrpc: '2.0', id: 'x', result: { n: 1 } });
    expect(second.process.read.map(({ method }) => method)).toEqual([
      'initialize',
      'notifications/initialized',
      'logging/setLevel',
      'tools/call',
    ]);
    expect(second.process.read[0]?.params).toEqual(first.process.read[0]?.params);
    expect([second.sessions.count('dp_a'), second.counts.opened]).toEqual([1, 1]);
    const again = await (await second.ask(initialize(), session)).whole();
    expect(again.status).toBe(400);
  });

  it('does not exist for another principal or on another deployment', async () => {
    const store = new MemorySessionStore();
    const first = await live(store, echo);
    const session = await first.open();
    await die(first);
    const second = await live(store, echo);
    const other = { ...session, 'x-principal': 'mallory' };
    for (const sent of [second.ask(call(1), other), second.listen(other), second.remove(other)]) {
      expect((await sent).status).toBe(404);
    }
    const [stored] = store.sessions.values();
    if (stored)
      store.sessions.set(stored.id, { ...stored, owner: { ...stored.owner, deploymentId: 'dp_b' } });
    expect((await second.ask(call(1), session)).status).toBe(404);
    if (stored) store.sessions.set(stored.id, stored);
    expect(second.processes).toHaveLength(0);
    expect((await second.ask(call(1), session)).status).toBe(200);
  });

  it('that is deleted is unknown to this one and the next, whether it was awake or not', async () => {
    const store = new MemorySessionStore();
    const first = await live(store, echo);
    const [awake, asleep] = [await first.open(), await first.open()];
    await die(first);
    const second = await live(store, echo);
    await second.ask(call(1), awake);
    for (const session of [awake, asleep]) {
      expect((await second.remove(session)).status).toBe(200);
      expect((await second.ask(call(1), session)).status).toBe(404);
    }
    expect(second.processes).toHaveLength(1);
    await die(second);
    const third = await live(store, echo);
    for (const session of [awake, asleep]) expect((await third.ask(call(1), session)).status).toBe(404);
    expect(store.sessions.size).toBe(0);
  });

  it('is over when nobody has used it for a day, and not before', async () => {
    const store = new MemorySessionStore();
    const first = await live(store, echo);
    const session = await first.open();
    await die(first);
    const second = await live(store, echo);
    second.clock.now = first.clock.now + DAY;
    expect((await second.ask(note('notifications/x'), session)).status).toBe(202);
    await die(second);
    const third = await live(store, echo);
    third.clock.now = second.clock.now + DAY + 1;
    expect((await third.ask(call(1), session)).status).toBe(404);
  });

  it('that is told something, or only listened to, starts no process', async () => {
    const store = new MemorySessionStore();
    const first = await live(store);
    const session = await first.open();
    await die(first);
    const second = await live(store, echo);
    const stream = await second.listen(session);
    expect((await second.ask(note('notifications/roots/list_changed'), session)).status).toBe(202);
    expect((await second.ask({ jsonrpc: '2.0', id: 1, result: {} }, session)).status).toBe(202);
    expect([second.processes.length, second.sessions.count('dp_a')]).toEqual([0, 0]);
    await second.ask(call(1), session);
    second.process.say(LOG);
    await stream.until(() => stream.messages.length === 1);
    expect(stream.messages).toEqual([LOG]);
  });

  it('is in the store before its client knows of it, and never when initialize was refused', async () => {
    const store = new MemorySessionStore();
    let stored = -1;
    store.save = (session, now) => {
      stored = edge.counts.opened;
      MemorySessionStore.prototype.save.call(store, session, now);
    };
    const edge = await live(store, (message, process) => {
      if (message.params?.['protocolVersion'] === 'refused') {
        process.say({ jsonrpc: '2.0', id: message.id, error: { code: -32602, message: 'no' } });
      } else mcpServer()(message, process);
    });
    await edge.open('refused');
    expect(stored).toBe(-1);
    const session = await edge.open();
    expect(stored).toBe(0);
    expect([...store.sessions.keys()]).toEqual([session['mcp-session-id']]);
  });

  it('that cannot be stored is as good as any until the control plane ends, and the log has the fault', async () => {
    const store = new MemorySessionStore();
    const fault = new Error('disk full');
    store.save = () => {
      throw fault;
    };
    const edge = await live(store, echo);
    const session = await edge.open();
    expect((await edge.ask(call(1), session)).status).toBe(200);
    // So it is not forgotten either, however long it has slept.
    for (let round = 0; round < 3; round++) {
      edge.clock.now += 600_000;
      await edge.sessions.stopIdle(() => 600_000);
    }
    expect([edge.process.ends, edge.sessions.size]).toEqual([1, 1]);
    expect((await edge.ask(call(2), session)).status).toBe(200);
    expect(new Set(edge.faults.splice(0))).toEqual(new Set([fault]));
  });

  it('that cannot be taken out of the store ends all the same, with its process', async () => {
    const store = new MemorySessionStore();
    const fault = new Error('disk full');
    const edge = await live(store, echo);
    const session = await edge.open();
    store.remove = () => {
      throw fault;
    };
    expect((await edge.remove(session)).status).toBe(200);
    expect([edge.process.ends, edge.sessions.count('dp_a')]).toEqual([1, 0]);
    expect(edge.faults.splice(0)).toEqual([fault]);
  });
});

describe('a session that is idle', () => {
  it('loses its process, then its memory, and goes on from the store', async () => {
    const edge = await live(new MemorySessionStore(), echo);
    const session = await edge.open();
    const tick = async (minutes: number): Promise<void> => {
      edge.clock.now += minutes * 60_000;
      await edge.sessions.stopIdle(() => 600_000);
    };
    await tick(9);
    expect(edge.process.ends).toBe(0);
    await tick(1);
    expect([edge.process.ends, edge.sessions.count('dp_a'), edge.sessions.size]).toEqual([1, 0, 1]);
    await tick(10);
    expect(edge.sessions.size).toBe(0);
    expect((await edge.ask(call(1), session)).status).toBe(200);
    expect([edge.processes.length, edge.sessions.count('dp_a'), edge.sessions.size]).toEqual([2, 1, 1]);
  });

  it('forgotten while a body for it is uploaded takes it all the same, in one process', async () => {
    const edge = await live(new MemorySessionStore(), echo);
    const session = await edge.open();
    await edge.sessions.stopAll('paused', 'dp_a');
    const upload = edge.upload(call(1, { n: 1 }), session);
    await expect.poll(() => edge.counts.handled).toBe(1);
    edge.clock.now += 20 * 60_000;
    await edge.sessions.stopIdle(() => 600_000);
    expect(edge.sessions.size).toBe(0);
    const reply = await (await upload.finish()).whole();
    expect(reply.json).toEqual({ jsonrpc: '2.0', id: 1, result: { n: 1 } });
    expect([edge.processes.length, edge.sessions.count('dp_a'), edge.sessions.size]).toEqual([2, 1, 1]);
  });

  it('deleted while a body for it is uploaded does not exist for it', async () => {
    const edge = await live(new MemorySessionStore(), echo);
    const session = await edge.open();
    const upload = edge.upload(call(1), session);
    await expect.poll(() => edge.counts.handled).toBe(1);
    await edge.remove(session);
    expect((await upload.finish()).status).toBe(404);
    expect(edge.processes).toHaveLength(1);
  });
});

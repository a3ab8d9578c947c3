import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, type EdgeServer, note, startEdge } from '../../../../test/support/edge-server.js';
import { MemorySessionStore } from '../../../../test/support/memory-session-store.js';

let store: MemorySessionStore;
let edge: EdgeServer;
let session: { 'mcp-session-id': string };

beforeEach(async () => {
  store = new MemorySessionStore();
  edge = await startEdge(undefined, {}, { store });
  session = await edge.open('2025-11-25');
});

afterEach(async () => {
  expect(edge.faults).toEqual([]);
  await edge.close();
});

function log(data: unknown): object {
  return note('notifications/message', { data });
}

/** Another control plane on the same store. */
async function restart(): Promise<void> {
  await edge.close();
  edge = await startEdge(undefined, {}, { store });
}

/** A call whose stream has begun; the ids of its events. */
async function beginCall(id: number | string): Promise<string[]> {
  const calls = (): number => edge.process?.read.filter(({ method }) => method === 'tools/call').length ?? 0;
  const before = calls();
  const asked = edge.ask(call(id), session);
  await expect.poll(calls).toBe(before + 1);
  edge.process.say(log('begun'));
  const reply = await asked;
  await reply.until(() => reply.messages.length === 1);
  return reply.events.map(({ id }) => String(id));
}

/** As a request's id goes into an event's. */
function encoded(text: string): string {
  return Buffer.from(text).toString('base64url');
}

async function resume(id: string) {
  return edge.listen({ ...session, 'last-event-id': id });
}

describe('the answer of a call that an earlier control plane began', () => {
  it.each([7, 'seven', '"\\ü🚀', '', -0.5])(
    'is an error under the id of the call, %j, on the stream that is resumed',
    async (id) => {
      const [primed = '', begun = ''] = await beginCall(id);
      await restart();
      for (const last of [primed, begun]) {
        const resumed = await (await resume(last)).whole();
        expect([resumed.status, resumed.type]).toEqual([200, 'text/event-stream']);
        expect(resumed.messages).toMatchObject([
          { jsonrpc: '2.0', id, error: { code: -32000, data: { code: 'server_stopped' } } },
        ]);
        expect(resumed.events[0]?.id).not.toBe(last);
        expect(resumed.broken).toBe(false);
      }
      expect(edge.processes).toHaveLength(0);
    },
  );

  it('is not told of where the id of the call is too long to be carried: the client listens to what comes', async () => {
    const [primed = ''] = await beginCall('x'.repeat(64));
    expect(primed).toMatch(/^\d+-\d+$/);
    await restart();
    const resumed = await resume(primed);
    void edge.ask(call(1), session);
    await expect.poll(() => edge.process?.lines.length).toBe(3);
    edge.process.say({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    await resumed.until(() => resumed.messages.length === 1);
    expect(resumed.ended).toBe(false);
  });
});

describe('the ambient stream', () => {
  it('of an earlier control plane goes on live, and never replays under an old id', async () => {
    const stream = await edge.listen(session);
    edge.process.say(log(1), log(2));
    await stream.until(() => stream.messages.length === 2);
    const last = String(stream.events[1]?.id);
    await restart();
    const resumed = await resume(last);
    void edge.ask({ ...call(1), method: 'ping' }, session);
    await expect.poll(() => edge.process?.lines.length).toBe(3);
    edge.process.say({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    await resumed.until(() => resumed.messages.length === 1);
    const again = await resume(String(resumed.events[0]?.id));
    await resumed.whole();
    edge.process.say({ jsonrpc: '2.0', method: 'notifications/prompts/list_changed' });
    await again.until(() => again.messages.length === 1);
    expect(again.messages).toEqual([{ jsonrpc: '2.0', method: 'notifications/prompts/list_changed' }]);
  });
});

describe('an event id', () => {
  it('is never given twice in the lives of a session', async () => {
    const ids: string[] = [];
    for (let life = 0; life < 3; life++) {
      const stream = await edge.listen(session);
      ids.push(...(await beginCall(1)), ...(await beginCall(1)));
      edge.process.say({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
      await stream.until(() => stream.messages.length === 1);
      ids.push(...stream.events.map(({ id }) => String(id)));
      await restart();
    }
    expect(ids).toHaveLength(15);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each([
    '0',
    '0-0-',
    '-1-1',
    '1-1-1-1',
    '999999999999999-1',
    `1-1-${encoded('{}')}`,
    `1-1-${encoded('null')}`,
    `1-1-${encoded('1\n\ndata: {}')}`,
    `1-1-${encoded('1\n')}`,
    `1-1-${encoded('\n"a"')}`,
    `1-1-${encoded('1,"method":"x"')}`,
    `1-1-${'A'.repeat(101)}`,
    '../../etc/passwd',
  ])('that we never gave, %j, is refused by this control plane and the next', async (id) => {
    if (id.startsWith('1-1')) await beginCall(1);
    expect((await resume(id)).status).toBe(400);
    await restart();
    expect((await resume(id)).status).toBe(400);
  });

  it('that a client made up tells nothing but to itself', async () => {
    await restart();
    const forged = await (await resume(`5-999999999-${encoded('"mine"')}`)).whole();
    expect(forged.messages).toMatchObject([{ id: 'mine', error: {} }]);
    const other = { ...session, 'x-principal': 'mallory', 'last-event-id': '0-1' };
    expect((await edge.listen(other)).status).toBe(404);
    expect(edge.processes).toHaveLength(0);
  });
});

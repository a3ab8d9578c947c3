import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  call,
  echo,
  type EdgeServer,
  initialize,
  note,
  startEdge,
} from '../../../../test/support/edge-server.js';
import { Gate } from '../../../../test/support/gate.js';
import { post } from '../../../../test/support/http-text.js';
import { inFlightOf } from '../../../../test/support/in-flight.js';
import { ScriptedProcess } from '../../../../test/support/scripted-process.js';
import { AppError } from '../../../errors/app-error.js';
import type { Channel } from '../../channels/channel.js';
import { StdioChannel } from '../../channels/stdio-channel.js';

const edges: EdgeServer[] = [];
const processes: ScriptedProcess[] = [];

function open(): Channel {
  const process = new ScriptedProcess(echo);
  processes.push(process);
  return new StdioChannel(process, 1 << 20);
}

/** An edge with a session that sleeps; what comes next waits behind a gate. */
async function asleep(
  next: (signal: AbortSignal) => Promise<Channel> = () => Promise.resolve(open()),
  isServingAll = false,
) {
  const gate = new Gate();
  let isFirst = true;
  const edge = await startEdge(undefined, {
    isServingAll,
    openChannel: async (signal) => {
      if (isFirst) {
        isFirst = false;
        return open();
      }
      await gate.wait();
      return next(signal);
    },
  });
  edges.push(edge);
  const session = await edge.open();
  await edge.sessions.stopAll('paused', 'dp_a');
  return { edge, session, gate };
}

afterEach(async () => {
  for (const edge of edges.splice(0)) {
    await edge.close();
    expect(edge.counts.leases).toBe(0);
    expect(edge.counts.calls).toBe(0);
    await expect.poll(() => edge.counts.handled).toBe(0);
    expect([edge.sessions.count('dp_a'), edge.faults]).toEqual([0, []]);
    expect(processes.map(({ ends }) => ends)).toEqual(processes.map(() => 1));
  }
  processes.length = 0;
});

describe('a session that is woken', () => {
  it.each([
    ['not by a client that listens', false, 0],
    ['by a client that listens, where a process serves all clients and is there', true, 1],
  ])('%s', async (_, isServingAll, count) => {
    const { edge, session, gate } = await asleep(undefined, isServingAll);
    gate.open();
    const stream = await edge.listen(session);
    expect(stream.status).toBe(200);
    await expect.poll(() => edge.sessions.count('dp_a')).toBe(count);
    expect(processes).toHaveLength(1 + count);
    stream.leave();
    await edge.remove(session);
  });

  it('answers each of 100 requests that came at once, in one process and one place', async () => {
    const { edge, session, gate } = await asleep();
    const asks = Array.from({ length: 100 }, async (_, n) =>
      (await edge.ask(call(1, { n }), session)).whole(),
    );
    await expect.poll(() => inFlightOf(edge.sessions)).toBe(100);
    expect([edge.sessions.count('dp_a'), edge.sessions.isBusy('dp_a')]).toEqual([1, true]);
    gate.open();
    const replies = await Promise.all(asks);
    expect(replies.map(({ json }) => json)).toEqual(
      replies.map((_, n) => ({ jsonrpc: '2.0', id: 1, result: { n } })),
    );
    expect(processes).toHaveLength(2);
    expect(edge.sessions.count('dp_a')).toBe(1);
  });

  it('wakes for others though the client that asked first has left', async () => {
    const { edge, session, gate } = await asleep();
    const socket = connect(edge.port, '127.0.0.1');
    socket.write(post(session, call('left')));
    await gate.reached;
    const stays = edge.ask(call('stays', { n: 2 }), session);
    await expect.poll(() => inFlightOf(edge.sessions)).toBe(2);
    socket.destroy();
    await expect.poll(() => inFlightOf(edge.sessions)).toBe(1);
    gate.open();
    expect((await (await stays).whole()).json).toEqual({ jsonrpc: '2.0', id: 'stays', result: { n: 2 } });
    expect(processes[1]?.read.filter(({ method }) => method === 'tools/call')).toHaveLength(1);
  });

  it('makes no call that was cancelled before there was a process, and all others', async () => {
    const { edge, session, gate } = await asleep();
    const [given, kept] = [edge.ask(call('given'), session), edge.ask(call('kept', { n: 1 }), session)];
    await expect.poll(() => inFlightOf(edge.sessions)).toBe(2);
    const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'given' } };
    expect((await edge.ask(cancel, session)).status).toBe(202);
    expect((await (await given).whole()).json).toMatchObject({
      id: 'given',
      error: { data: { code: 'request_cancelled' } },
    });
    gate.open();
    expect((await (await kept).whole()).json).toMatchObject({ id: 'kept', result: { n: 1 } });
    expect(processes[1]?.read.filter(({ method }) => method === 'tools/call')).toHaveLength(1);
  });

  it('that cannot tells every request why, under its id, gives its place back, and is tried again by the next', async () => {
    let fails = true;
    const { edge, session, gate } = await asleep(() =>
      fails
        ? Promise.reject(
            new AppError('deployment_not_ready', { detail: 'still pulling', retryAfterSeconds: 2 }),
          )
        : Promise.resolve(open()),
    );
    const asks = ['a', 'b', 3].map(async (id) => (await edge.ask(call(id), session)).whole());
    await expect.poll(() => inFlightOf(edge.sessions)).toBe(3);
    gate.open();
    for (const [n, reply] of (await Promise.all(asks)).entries()) {
      expect([reply.status, reply.headers['retry-after']]).toEqual([503, '2']);
      expect(reply.json).toMatchObject({
        id: ['a', 'b', 3][n],
        error: {
          data: { code: 'deployment_not_ready' },
          message: expect.stringContaining('still pulling') as string,
        },
      });
    }
    expect(edge.sessions.count('dp_a')).toBe(0);
    fails = false;
    expect((await edge.ask(call(4), session)).status).toBe(200);
    expect(edge.sessions.count('dp_a')).toBe(1);
  });

  it('that fails for a reason of ours shows nothing of it, and the log has it', async () => {
    const fault = new Error('secret');
    const { edge, session, gate } = await asleep(() => Promise.reject(fault));
    gate.open();
    const reply = await (await edge.ask(call(1), session)).whole();
    expect([reply.status, reply.text.includes('secret')]).toEqual([500, false]);
    expect(edge.faults.splice(0)).toEqual([fault]);
    expect(edge.sessions.count('dp_a')).toBe(0);
  });

  it('and deleted meanwhile does not exist for who waits, and the process that still comes is ended', async () => {
    const { edge, session, gate } = await asleep();
    const asked = edge.ask(call(1), session);
    await gate.reached;
    const removed = edge.remove(session);
    const reply = await (await asked).whole();
    expect(reply.status).toBe(404);
    expect(reply.json).toMatchObject({ id: 1, error: { data: { code: 'session_ended' } } });
    gate.open();
    expect((await removed).status).toBe(200);
    expect(processes.map(({ ends, lines }) => [ends, lines.length])).toEqual([
      [1, 1],
      [1, 0],
    ]);
    expect(edge.sessions.count('dp_a')).toBe(0);
  });

  it('and whose deployment is deleted meanwhile is over, and leaves no process', async () => {
    const { edge, session, gate } = await asleep();
    const asked = edge.ask(call(1), session);
    await gate.reached;
    const closing = edge.sessions.closeAll('dp_a');
    expect((await asked).status).toBe(404);
    gate.open();
    await closing;
    expect(processes.map(({ ends }) => ends)).toEqual([1, 1]);
    expect([edge.sessions.count('dp_a'), edge.sessions.size]).toEqual([0, 0]);
  });

  it('is not given up when what is left of the last sandbox is stopped for the next', async () => {
    const { edge, session, gate } = await asleep();
    const asked = edge.ask(call(1, { n: 1 }), session);
    await gate.reached;
    await edge.sessions.stopAll('The sandbox is replaced', 'dp_a');
    expect(edge.sessions.count('dp_a')).toBe(1);
    gate.open();
    expect((await (await asked).whole()).json).toEqual({ jsonrpc: '2.0', id: 1, result: { n: 1 } });
    expect(processes.map(({ ends }) => ends)).toEqual([1, 0]);
  });

  it('is not made room for nor ended as idle while somebody waits for it', async () => {
    const { edge, session, gate } = await asleep();
    const asked = edge.ask(call(1), session);
    await gate.reached;
    edge.clock.now += 24 * 3_600_000;
    await edge.sessions.stopIdle(() => 600_000);
    expect([edge.sessions.count('dp_a'), edge.sessions.size]).toEqual([1, 1]);
    expect(() => edge.sessions.reserve('dp_a', 1)).toThrow('maxSessions');
    gate.open();
    expect((await asked).status).toBe(200);
  });
});

it('initialize of more than 64 KB is refused with the limit, and holds nothing', async () => {
  const edge = await startEdge(echo);
  edges.push(edge);
  const large = initialize() as { params: object };
  const reply = await (
    await edge.ask({ ...large, params: { ...large.params, _meta: { x: 'x'.repeat(64 * 1024) } } })
  ).whole();
  expect(reply.json).toMatchObject({
    id: 0,
    error: { code: -32602, message: 'initialize must not have more than 65536 characters' },
  });
  expect(reply.headers['mcp-session-id']).toBeUndefined();
  expect([edge.sessions.count('dp_a'), edge.store.sessions.size, edge.process.ends]).toEqual([0, 0, 1]);
  expect((await edge.ask(note('notifications/x'))).status).toBe(400);
});

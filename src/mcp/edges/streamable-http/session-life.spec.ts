import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  call,
  echo,
  type EdgeServer,
  initialize,
  note,
  startEdge,
} from '../../../../test/support/edge-server.js';
import { post } from '../../../../test/support/http-text.js';
import { ScriptedProcess } from '../../../../test/support/scripted-process.js';
import { AppError } from '../../../errors/app-error.js';
import { StdioChannel } from '../../channels/stdio-channel.js';

const edges: EdgeServer[] = [];

async function start(...options: Parameters<typeof startEdge>): Promise<EdgeServer> {
  const edge = await startEdge(...options);
  edges.push(edge);
  return edge;
}

afterEach(async () => {
  for (const edge of edges.splice(0)) {
    await edge.close();
    expect(edge.counts.leases).toBe(0);
    expect(edge.counts.calls).toBe(0);
    expect(edge.sessions.count('dp_a')).toBe(0);
  }
});

function silent(): void {
  // A server that answers nothing.
}

describe('a session', () => {
  it('ends by DELETE, its calls with an error, and is unknown afterwards', async () => {
    const edge = await start();
    const session = await edge.open();
    const stream = await edge.listen(session);
    const asked = edge.ask(call(1), session);
    await edge.process.told(1);
    expect((await edge.remove(session)).status).toBe(200);
    expect((await (await asked).whole()).json).toMatchObject({
      id: 1,
      error: { data: { code: 'session_ended' } },
    });
    await stream.whole();
    expect(edge.process.ends).toBe(1);
    for (const sent of [edge.remove(session), edge.ask(call(2), session), edge.listen(session)]) {
      const reply = await (await sent).whole();
      expect(reply.status).toBe(404);
      expect(reply.json).toMatchObject({ error: { code: -32001 } });
    }
  });

  it('over the limit is refused with 503, when to retry, and what to do', async () => {
    const edge = await start(echo, { maxSessions: 2 });
    const sessions = [await edge.open(), await edge.open()];
    const refused = await (await edge.ask(initialize())).whole();
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '10']);
    expect(refused.json).toMatchObject({
      error: { data: { code: 'session_limit' }, message: expect.stringContaining('maxSessions') as string },
    });
    expect(refused.headers['mcp-session-id']).toBeUndefined();
    await edge.remove(sessions[0]);
    expect((await edge.ask(initialize())).status).toBe(200);
    expect(edge.processes).toHaveLength(3);
  });

  it('that nobody used for 10 minutes lends its place: its process ends, it does not', async () => {
    const edge = await start(echo, { maxSessions: 1 });
    const old = await edge.open();
    const stream = await edge.listen(old);
    edge.clock.now += 10 * 60_000;
    const session = await edge.open();
    expect(edge.processes.map((process) => process.ends)).toEqual([1, 0]);
    expect(edge.sessions.count('dp_a')).toBe(1);
    const refused = await (await edge.ask(call(1), old)).whole();
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '10']);
    expect(refused.json).toMatchObject({ id: 1, error: { data: { code: 'session_limit' } } });
    expect((await edge.ask(call(1), session)).status).toBe(200);
    await edge.remove(session);
    const answer = await (await edge.ask(call('again', { n: 1 }), old)).whole();
    expect(answer.json).toEqual({ jsonrpc: '2.0', id: 'again', result: { n: 1 } });
    expect(edge.process.read.map(({ method }) => method)).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/call',
    ]);
    expect(edge.process.read[0]?.params).toEqual(edge.processes[0]?.read[0]?.params);
    edge.process.say(note('notifications/tools/list_changed'));
    await stream.until(() => stream.messages.length === 1);
    expect(stream.ended).toBe(false);
  });

  it('does not come of an initialize that the server refused', async () => {
    const edge = await start(({ id }, process) => {
      process.say({ jsonrpc: '2.0', id, error: { code: -32602, message: 'Unsupported protocol version' } });
    });
    for (const accept of ['application/json', 'text/event-stream']) {
      const reply = await (await edge.ask(initialize(), { accept })).whole();
      expect(reply.text).toContain('Unsupported protocol version');
      expect(edge.sessions.count('dp_a')).toBe(0);
      expect(edge.process.ends).toBe(1);
    }
    expect((await edge.ask(initialize())).headers['mcp-session-id']).toBeUndefined();
    expect(edge.counts.opened).toBe(0);
  });

  it('does not come of a server that exits instead of answering: the client is told its last words', async () => {
    const edge = await start((_, process) => {
      process.complain('no API key\n');
      process.exit(2);
    });
    const reply = await (await edge.ask(initialize())).whole();
    expect(reply.json).toMatchObject({
      id: 0,
      error: {
        message: 'The server exited with code 2. It said:\nno API key',
        data: { code: 'server_exited' },
      },
    });
  });

  it('does not come of a process that exited before it was opened', async () => {
    const edge = await start(undefined, {
      openChannel: () => {
        const process = new ScriptedProcess();
        const channel = new StdioChannel(process, 1000);
        process.exit(1);
        return Promise.resolve(channel);
      },
    });
    expect((await (await edge.ask(initialize())).whole()).text).toContain('The server exited with code 1');
  });

  it('of a server that never answers initialize is ended at the deadline with a reason', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const edge = await start(silent, { handshakeMs: 4000 });
      const asked = edge.ask(initialize());
      while (!edge.processes[0]) await new Promise((resolve) => setImmediate(resolve));
      await edge.process.told(0);
      vi.advanceTimersByTime(3999);
      expect(edge.process.ends).toBe(0);
      vi.advanceTimersByTime(1);
      expect((await (await asked).whole()).json).toMatchObject({
        error: {
          message: 'The server did not answer initialize within 4 s',
          data: { code: 'server_invalid' },
        },
      });
      expect(edge.process.ends).toBe(1);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('whose client left before the answer to initialize is gone with it', async () => {
    const edge = await start(silent);
    const left = new Promise((resolve) => {
      edge.server.once('connection', (socket: Socket) => socket.once('close', resolve));
    });
    const socket = connect(edge.port, '127.0.0.1');
    socket.write(post({}, initialize()));
    await expect.poll(() => edge.processes[0]?.lines.length).toBe(1);
    socket.destroy();
    await left;
    edge.process.say({ jsonrpc: '2.0', id: 1, result: { protocolVersion: '2025-06-18' } });
    expect(edge.process.ends).toBe(1);
    expect(edge.sessions.count('dp_a')).toBe(0);
    expect(edge.counts.opened).toBe(0);
  });

  it('that cannot be opened says why and holds no place', async () => {
    const edge = await start(undefined, {
      openChannel: () =>
        Promise.reject(new AppError('start_timeout', { detail: 'no luck', retryAfterSeconds: 5 })),
    });
    const reply = await (await edge.ask(initialize())).whole();
    expect([reply.status, reply.headers['retry-after']]).toEqual([504, '5']);
    expect(reply.json).toMatchObject({
      error: { message: expect.stringContaining('no luck') as string, data: { code: 'start_timeout' } },
    });
    expect(edge.faults).toEqual([]);
  });

  it('that fails for a reason of ours shows nothing of it, and the log has it', async () => {
    const fault = new Error('secret');
    const edge = await start(undefined, { openChannel: () => Promise.reject(fault) });
    const reply = await (await edge.ask(initialize())).whole();
    expect(reply.status).toBe(500);
    expect(reply.text).not.toContain('secret');
    expect(edge.faults).toEqual([fault]);
  });

  it('that is being opened is told when its client leaves', async () => {
    let seen: AbortSignal | undefined;
    const edge = await start(undefined, {
      openChannel: (signal) => {
        seen = signal;
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('left')), { once: true }),
        );
      },
    });
    const socket = connect(edge.port, '127.0.0.1');
    socket.write(post({}, initialize()));
    await expect.poll(() => seen).toBeDefined();
    socket.destroy();
    await expect.poll(() => edge.counts.handled).toBe(0);
    expect(edge.sessions.count('dp_a')).toBe(0);
    expect(edge.faults).toEqual([]);
  });
});

describe('a lease', () => {
  it('is held while a call is under way, though its client left, until the answer comes', async () => {
    const edge = await start();
    const session = await edge.open();
    const reply = await edge.ask(call(1), { ...session, accept: 'text/event-stream' });
    expect(edge.counts.leases).toBe(1);
    reply.leave();
    await expect
      .poll(() => new Promise((resolve) => edge.server.getConnections((_, n) => resolve(n))))
      .toBe(0);
    expect(edge.counts.leases).toBe(1);
    edge.process.say({ jsonrpc: '2.0', id: 2, result: {} });
    expect(edge.counts.leases).toBe(0);
    expect(edge.counts.calls).toBe(0);
    expect((await edge.ask(note('notifications/x'), session)).status).toBe(202);
  });
});

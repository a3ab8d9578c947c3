import { afterEach, describe, expect, it } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { call, echo, initialize, note } from '../../../../test/support/edge-server.js';
import { Gate } from '../../../../test/support/gate.js';
import { inFlightOf } from '../../../../test/support/in-flight.js';
import { ScriptedProcess } from '../../../../test/support/scripted-process.js';
import { RawSseClient } from '../../../../test/support/sse-client.js';
import { RawWebSocketClient } from '../../../../test/support/websocket-client.js';
import { AppError } from '../../../errors/app-error.js';
import type { Channel } from '../../channels/channel.js';
import { StdioChannel } from '../../channels/stdio-channel.js';

/** A connection of either kind. */
interface Client {
  readonly messages: Record<string, unknown>[];
  /** Sends all, in order; resolves when they are on their way. */
  send(...messages: object[]): Promise<void>;
  until(count: number): Promise<void>;
  isOpen(): boolean;
  leave(): void;
}

async function connectSse(server: ConnectionServer): Promise<Client> {
  const client = await RawSseClient.connect(server.port);
  return {
    messages: client.messages,
    // A POST is accepted when the server has its message; one that waits for a process is known to wait.
    send: async (...messages) => {
      for (const message of messages) {
        const waiting = inFlightOf(server.sessions);
        let isAccepted = false;
        const accept = (): void => {
          isAccepted = true;
        };
        void client.post(message).then(accept, accept);
        await expect
          .poll(() => isAccepted || inFlightOf(server.sessions) > waiting, { interval: 2 })
          .toBe(true);
      }
    },
    until: (count) => client.until(count),
    isOpen: () => !client.stream.ended,
    leave: () => client.leave(),
  };
}

async function connectWebSocket({ port }: ConnectionServer): Promise<Client> {
  const client = await RawWebSocketClient.connect(`ws://127.0.0.1:${port}/ws`);
  return {
    messages: client.messages,
    send: (...messages) => {
      for (const message of messages) client.send(message);
      return Promise.resolve();
    },
    until: (count) => client.until(() => client.messages.length >= count),
    isOpen: () => client.closed === undefined,
    leave: () => client.ws.terminate(),
  };
}

const servers: ConnectionServer[] = [];
const processes: ScriptedProcess[] = [];

function open(): Channel {
  const process = new ScriptedProcess(echo);
  processes.push(process);
  return new StdioChannel(process, 1 << 20);
}

/** `next` gives the processes behind the first ones. */
async function start(
  connect: (server: ConnectionServer) => Promise<Client>,
  next: (signal: AbortSignal) => Promise<Channel> = () => Promise.resolve(open()),
) {
  let isFirst = true;
  const server = await startConnections(undefined, {
    openChannel: (signal) => {
      if (!isFirst) return next(signal);
      isFirst = false;
      return Promise.resolve(open());
    },
  });
  servers.push(server);
  const client = await connect(server);
  await client.send(initialize());
  await client.until(1);
  return { server, client };
}

function callsTo(process: ScriptedProcess | undefined): unknown[] {
  return (process?.read ?? []).filter(({ method }) => method === 'tools/call').map(({ params }) => params);
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    await server.close();
    await expect.poll(() => server.counts).toMatchObject({ leases: 0, handled: 0, calls: 0 });
    expect([server.sessions.count('dp_a'), server.sessions.size]).toEqual([0, 0]);
    expect(processes.map(({ ends }) => ends)).toEqual(processes.map(() => 1));
    expect(server.faults).toEqual([]);
  }
  processes.length = 0;
});

describe.each([
  ['HTTP+SSE', connectSse],
  ['WebSocket', connectWebSocket],
] as const)('a connection over %s', (_, connect) => {
  it('stays when its process sleeps, gives its place back, and takes one with the next request', async () => {
    const { server, client } = await start(connect);
    for (let life = 1; life <= 3; life++) {
      await server.sessions.stopAll('paused', 'dp_a');
      expect([server.sessions.count('dp_a'), processes.at(-1)?.ends]).toEqual([0, 1]);
      await client.send(call(life, { life }));
      await client.until(1 + life);
      expect(client.messages[life]).toEqual({ jsonrpc: '2.0', id: life, result: { life } });
      expect([server.sessions.count('dp_a'), processes.length]).toEqual([1, 1 + life]);
    }
    expect([client.isOpen(), client.messages.length, server.counts.opened]).toEqual([true, 4, 4]);
  });

  it('wakes its process once for requests that come together, which it gets in order', async () => {
    const gate = new Gate();
    const { server, client } = await start(connect, async () => {
      await gate.wait();
      return open();
    });
    await server.sessions.stopAll('paused', 'dp_a');
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on('warning', onWarning);
    const numbers = Array.from({ length: 20 }, (_, n) => n + 1);
    await client.send(...numbers.map((n) => call(n, { n })));
    await gate.reached;
    await expect.poll(() => inFlightOf(server.sessions)).toBeGreaterThan(0);
    gate.open();
    await client.until(21);
    process.off('warning', onWarning);
    expect(callsTo(processes[1])).toEqual(numbers.map((n) => ({ n })));
    expect(client.messages.slice(1).map(({ id }) => id)).toEqual(numbers);
    expect(warnings).toEqual([]);
    expect(processes).toHaveLength(2);
  });

  it('is told by JSON-RPC errors what keeps its process away, holds no place meanwhile, and stays', async () => {
    const errors = [
      new AppError('deployment_not_ready', { detail: 'still pulling' }),
      new AppError('server_exited', { detail: 'crash loop' }),
      new Error('secret'),
    ];
    const { server, client } = await start(connect, () => {
      const error = errors.shift();
      return error ? Promise.reject(error) : Promise.resolve(open());
    });
    await server.sessions.stopAll('paused', 'dp_a');
    for (const [n, code] of ['deployment_not_ready', 'server_exited', 'internal_error'].entries()) {
      await client.send(call(`c${n}`));
      await client.until(2 + n);
      expect(client.messages.at(-1)).toMatchObject({ id: `c${n}`, error: { data: { code } } });
      expect([server.sessions.count('dp_a'), server.counts.leases]).toEqual([0, 0]);
    }
    expect(JSON.stringify(client.messages)).not.toContain('secret');
    await client.send(call('ok'));
    await client.until(5);
    expect(client.messages.at(-1)).toEqual({ jsonrpc: '2.0', id: 'ok', result: {} });
    expect(client.isOpen()).toBe(true);
  });

  it('wakes nothing by what is no request', async () => {
    const { server, client } = await start(connect);
    await server.sessions.stopAll('paused', 'dp_a');
    await client.send(note('notifications/roots/list_changed'), { jsonrpc: '2.0', id: 1, result: {} });
    await client.send(call(1));
    await client.until(2);
    expect(processes).toHaveLength(2);
    expect(processes[1]?.read.map(({ method }) => method)).toEqual([
      'initialize',
      'notifications/initialized',
      'tools/call',
    ]);
  });

  it('whose client leaves while it waits holds no place, and the process that still comes is ended', async () => {
    const gate = new Gate();
    let stopped: AbortSignal | undefined;
    const { server, client } = await start(connect, async (signal) => {
      stopped = signal;
      await gate.wait();
      return open();
    });
    await server.sessions.stopAll('paused', 'dp_a');
    await client.send(call(1));
    await gate.reached;
    expect([server.sessions.count('dp_a'), server.counts.leases]).toEqual([1, 1]);
    client.leave();
    await expect.poll(() => stopped?.aborted).toBe(true);
    await expect.poll(() => server.sessions.count('dp_a')).toBe(0);
    expect(server.sessions.size).toBe(0);
    gate.open();
    await expect.poll(() => processes[1]?.ends).toBe(1);
    expect(processes[1]?.lines).toEqual([]);
  });

  it('is closed when its deployment is deleted while it waits', async () => {
    const gate = new Gate();
    const { server, client } = await start(connect, async () => {
      await gate.wait();
      return open();
    });
    await server.sessions.stopAll('paused', 'dp_a');
    await client.send(call(1));
    await gate.reached;
    const closing = server.sessions.closeAll('dp_a');
    await expect.poll(() => client.isOpen()).toBe(false);
    gate.open();
    await closing;
    expect(processes.map(({ ends }) => ends)).toEqual([1, 1]);
  });

  it('loses its process when idle, counted from its last message, and is never forgotten nor expired', async () => {
    const { server, client } = await start(connect);
    const tick = async (minutes: number): Promise<number | undefined> => {
      server.clock.now += minutes * 60_000;
      await server.sessions.stopIdle(() => 600_000);
      await server.sessions.expire();
      return processes.at(-1)?.ends;
    };
    expect(await tick(9)).toBe(0);
    await client.send(call(1));
    await client.until(2);
    expect(await tick(9)).toBe(0);
    expect(await tick(1)).toBe(1);
    await tick(48 * 60);
    expect([server.sessions.count('dp_a'), server.sessions.size, client.isOpen()]).toEqual([0, 1, true]);
    await client.send(call(2));
    await client.until(3);
    expect(client.messages.map(({ id }) => id)).toEqual([0, 1, 2]);
  });

  it('gets what a lost process had asked cancelled', async () => {
    const { client } = await start(connect);
    processes[0]?.say({ jsonrpc: '2.0', id: 'q', method: 'elicitation/create' });
    await client.until(2);
    processes[0]?.exit(1);
    await client.until(3);
    expect(client.messages[2]).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: client.messages[1]?.['id'] },
    });
  });
});

it('over HTTP+SSE makes no call that was cancelled before there was a process, and all others', async () => {
  const gate = new Gate();
  const { server, client } = await start(connectSse, async () => {
    await gate.wait();
    return open();
  });
  await server.sessions.stopAll('paused', 'dp_a');
  const cancel = { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } };
  await client.send(call(1, { n: 1 }), call(2, { n: 2 }), cancel);
  await client.until(2);
  expect(client.messages[1]).toMatchObject({ id: 1, error: { data: { code: 'request_cancelled' } } });
  gate.open();
  await client.until(3);
  expect(client.messages[2]).toEqual({ jsonrpc: '2.0', id: 2, result: { n: 2 } });
  expect(callsTo(processes[1])).toEqual([{ n: 2 }]);
});

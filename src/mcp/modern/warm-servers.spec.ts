import { describe, expect, it, vi } from 'vitest';
import { Gate } from '../../../test/support/gate.js';
import { RecordingOutlet } from '../../../test/support/recording-outlet.js';
import { modern, type ModernOptions, tool } from '../../../test/support/modern-request.js';
import { ScriptedProcess } from '../../../test/support/scripted-process.js';
import { StdioChannel } from '../channels/stdio-channel.js';
import type { Upstream } from '../edges/upstream.js';
import { parseMessage, type Request } from '../jsonrpc/envelope.js';
import { unlessAborted } from '../../waiting/unless-aborted.js';
import { SessionDirectory } from '../sessions/session-directory.js';
import { checkModernRequest } from './modern-checks.js';
import { WarmServers } from './warm-servers.js';

const MINUTE = 60_000;
const never = new AbortController().signal;
const ASKABLE = { capabilities: { elicitation: {} } };

interface Options {
  native?: boolean;
  maxSessions?: number;
  /** What a server that is told to end still says. */
  farewell?: (process: ScriptedProcess) => void;
  /** What the next process waits for. */
  opening?: () => Promise<void> | undefined;
}

function start({ native = true, maxSessions = 4, farewell, opening }: Options = {}) {
  const sessions = new SessionDirectory(() => Date.now());
  const servers = new WarmServers(sessions, () => Date.now());
  const processes: ScriptedProcess[] = [];
  const parked = new Set<string>();
  const upstreamOf = (principal: string) =>
    ({
      owner: { deploymentId: 'dp_a', principal },
      maxSessions,
      onOpened: () => undefined,
      untilJoined: () => undefined,
      modern: {
        isNative: () => Promise.resolve(native),
        open: async (_native: boolean, signal: AbortSignal) => {
          await unlessAborted(Promise.resolve(opening?.()), signal);
          const process = new ScriptedProcess();
          const own = String(processes.push(process));
          const holds = (state: string): boolean => parked.has(state) && state === own;
          const calls = {
            get parkedCalls() {
              return parked.has(own) ? 1 : 0;
            },
            holds,
          };
          const channel = new StdioChannel(process, 1 << 20);
          const close = channel.close.bind(channel);
          channel.close = (fault) => {
            farewell?.(process);
            return close(fault);
          };
          return { channel, parked: native ? undefined : calls };
        },
      },
    }) as unknown as Upstream;
  const send = async (message: object, principal = 'a') => {
    const request = checkModernRequest(parseMessage(JSON.stringify(message)) as Request, undefined);
    const outlet = new RecordingOutlet();
    const relayed = await servers.request(request, outlet, upstreamOf(principal), undefined, never);
    return { outlet, ...relayed };
  };
  const call = (options: ModernOptions = {}, principal = 'a') => send(tool(1, {}, options), principal);
  /** Answers the newest request of the nth process. */
  const answer = (n: number): void => {
    const process = processes[n] as ScriptedProcess;
    process.say({ jsonrpc: '2.0', id: process.read.at(-1)?.id, result: {} });
  };
  return { sessions, servers, processes, parked, send, call, answer };
}

it('a subscription keeps its server, and keeps nothing busy', async () => {
  const { sessions, processes, send, call, answer } = start();
  await send(modern(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } }));
  expect([processes.length, sessions.isBusy('dp_a')]).toEqual([1, false]);
  await call();
  expect(sessions.isBusy('dp_a')).toBe(true);
  answer(0);
  expect([processes.length, sessions.isBusy('dp_a')]).toEqual([1, false]);
});

describe('the servers of a principal', () => {
  it('are one, for any number of requests at once', async () => {
    const { call, processes } = start();
    await Promise.all(Array.from({ length: 50 }, () => call()));
    expect(processes).toHaveLength(1);
  });

  it('are not those of another', async () => {
    const { call, processes } = start();
    await call({}, 'a');
    await call({}, 'b');
    expect(processes).toHaveLength(2);
  });

  it('are more when two calls at once want log messages, and one again afterwards', async () => {
    const { call, processes, answer, sessions } = start();
    vi.useFakeTimers();
    await call({ logLevel: 'info' });
    await call({ logLevel: 'info' });
    expect(processes).toHaveLength(2);
    answer(0);
    answer(1);
    await call({ logLevel: 'info' });
    answer(0);
    expect(processes).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect([processes.map(({ ends }) => ends), sessions.count('dp_a')]).toEqual([[0, 1], 1]);
    await vi.advanceTimersByTimeAsync(10 * MINUTE);
    expect([processes.map(({ ends }) => ends), sessions.count('dp_a')]).toEqual([[1, 1], 0]);
    vi.useRealTimers();
  });

  it('count as sessions, so that there are no more than those', async () => {
    const { call } = start({ maxSessions: 2 });
    await call({ logLevel: 'info' });
    await call({ logLevel: 'info' });
    await expect(call({ logLevel: 'info' })).rejects.toMatchObject({ code: 'session_limit' });
  });

  it('end with the deployment', async () => {
    const { call, processes, sessions } = start();
    const { outlet } = await call();
    await sessions.closeAll('dp_a');
    expect([processes[0]?.ends, sessions.count('dp_a')]).toEqual([1, 0]);
    expect(outlet.messages).toMatchObject([{ error: { data: { code: 'session_ended' } } }]);
  });

  it('are opened again when one could not be', async () => {
    const { servers, sessions } = start();
    const request = checkModernRequest(parseMessage(JSON.stringify(tool(1))) as Request, undefined);
    const open = vi.fn(() => Promise.reject(new Error('no engine')));
    const upstream = {
      owner: { deploymentId: 'dp_a', principal: 'a' },
      maxSessions: 1,
      modern: { isNative: () => Promise.resolve(true), open },
    };
    for (let n = 1; n <= 2; n++) {
      await expect(
        servers.request(request, new RecordingOutlet(), upstream as unknown as Upstream, undefined, never),
      ).rejects.toThrow('no engine');
      expect([open.mock.calls.length, sessions.count('dp_a')]).toEqual([n, 0]);
    }
  });
});

describe('a translated server', () => {
  it('serves one call at a time that can be asked, and lists beside it', async () => {
    const { call, send, processes } = start({ native: false });
    await call(ASKABLE);
    await send(modern(2, 'tools/list', {}, ASKABLE));
    expect(processes).toHaveLength(1);
    await call(ASKABLE);
    await call();
    expect(processes).toHaveLength(3);
    await call();
    expect(processes).toHaveLength(3);
  });

  it('is left to its call while that is parked, which the answers come back to', async () => {
    const { call, send, processes, answer, parked } = start({ native: false });
    await call(ASKABLE);
    parked.add('1');
    answer(0);
    await call(ASKABLE);
    expect(processes).toHaveLength(2);
    await send(modern(3, 'tools/call', { name: 'echo', requestState: '1', inputResponses: {} }, ASKABLE));
    expect(processes.map(({ lines }) => lines.length)).toEqual([2, 1]);
  });

  it('serves calls that cannot be asked beside a parked one', async () => {
    const { call, processes, answer, parked } = start({ native: false });
    await call(ASKABLE);
    parked.add('1');
    answer(0);
    await call();
    await call();
    expect(processes).toHaveLength(1);
  });

  it('refuses a request state that nobody holds', async () => {
    const { send, processes } = start({ native: false });
    const retry = modern(3, 'tools/call', { name: 'echo', requestState: 'forged' }, ASKABLE);
    await expect(send(retry)).rejects.toMatchObject({ rpcCode: -32602 });
    expect(processes).toHaveLength(0);
  });
});

function notice(method: string, id: unknown): object {
  return {
    jsonrpc: '2.0',
    method,
    params: { _meta: { 'io.modelcontextprotocol/subscriptionId': id } },
  };
}

describe('a subscription', () => {
  const listen = modern('sub', 'subscriptions/listen', { notifications: { toolsListChanged: true } });
  const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged';
  const CHANGED = 'notifications/tools/list_changed';

  it('stays open when its server is gone, and goes on with the next one of its principal', async () => {
    const { sessions, send, call, processes } = start();
    const { outlet } = await send(listen);
    processes[0]?.say(notice(ACKNOWLEDGED, processes[0].read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    expect(sessions.count('dp_a')).toBe(0);
    await call({}, 'b');
    expect(processes[1]?.read.map(({ method }) => method)).toEqual(['tools/call']);
    await call();
    const { id } = processes[2]?.read.find(({ method }) => method === 'subscriptions/listen') ?? {};
    processes[2]?.say(notice(ACKNOWLEDGED, id), notice(CHANGED, id));
    expect(outlet.messages).toMatchObject([notice(ACKNOWLEDGED, 'sub'), notice(CHANGED, 'sub')]);
    expect(outlet.lasts).toEqual([]);
  });

  it('goes on without a request where all clients are served by one process that is there again, which has agreed then', async () => {
    const { sessions, servers, send, processes } = start();
    const { outlet } = await send(listen);
    const other = await send(listen, 'b');
    for (const process of processes) process.say(notice(ACKNOWLEDGED, process.read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    await servers.rejoin('dp_b');
    expect(processes).toHaveLength(2);
    let isJoined = false;
    const joining = servers.rejoin('dp_a').finally(() => {
      isJoined = true;
    });
    await expect
      .poll(() => processes.slice(2).map(({ read }) => read.map(({ method }) => method)))
      .toEqual([['subscriptions/listen'], ['subscriptions/listen']]);
    expect(isJoined).toBe(false);
    for (const process of processes.slice(2)) {
      const id = process.read[0]?.id;
      process.say(notice(ACKNOWLEDGED, id), notice(CHANGED, id));
    }
    await joining;
    for (const { messages } of [outlet, other.outlet]) {
      expect(messages).toMatchObject([notice(ACKNOWLEDGED, 'sub'), notice(CHANGED, 'sub')]);
    }
    expect(sessions.isBusy('dp_a')).toBe(false);
    await servers.rejoin('dp_a');
    expect(processes).toHaveLength(4);
  });

  it('does not go on with a process that is told to stop on its way, unless a request asks for it', async () => {
    let gate: Gate | undefined;
    const { sessions, servers, send, call, processes, answer } = start({ opening: () => gate?.wait() });
    await send(listen);
    processes[0]?.say(notice(ACKNOWLEDGED, processes[0].read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    gate = new Gate();
    const joining = servers.rejoin('dp_a');
    await gate.reached;
    await sessions.stopAll('paused', 'dp_a');
    await joining;
    expect([processes.length, sessions.count('dp_a')]).toEqual([1, 0]);

    gate = new Gate();
    void servers.rejoin('dp_a');
    const calling = call();
    await gate.reached;
    await sessions.stopAll('paused', 'dp_a');
    gate.open();
    await calling;
    expect(processes[1]?.read.map(({ method }) => method)).toEqual(['subscriptions/listen', 'tools/call']);
    answer(1);
  });

  it('holds nobody up when its client leaves before the next server has agreed', async () => {
    const { servers, sessions, send, call, processes, answer } = start();
    const left = await send(listen);
    processes[0]?.say(notice(ACKNOWLEDGED, processes[0].read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    const joining = servers.rejoin('dp_a');
    await expect.poll(() => processes[1]?.read.length).toBe(1);
    const calling = call();
    left.cancel();
    await joining;
    await calling;
    answer(1);
    expect(sessions.isBusy('dp_a')).toBe(false);
  });

  it('stays open though its server answers it when it is told to end', async () => {
    const { sessions, send, call, processes } = start({
      farewell: (process) => process.say({ jsonrpc: '2.0', id: process.read.at(-1)?.id, result: {} }),
    });
    const { outlet } = await send(listen);
    processes[0]?.say(notice(ACKNOWLEDGED, processes[0].read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    expect(outlet.lasts).toEqual([]);
    await call();
    expect(processes[1]?.read.map(({ method }) => method)).toContain('subscriptions/listen');
  });

  it('that its client has left meanwhile is asked of nobody', async () => {
    const { sessions, send, call, processes } = start();
    const left = await send(listen);
    processes[0]?.say(notice(ACKNOWLEDGED, processes[0].read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    left.cancel();
    await call();
    expect(processes[1]?.read.map(({ method }) => method)).toEqual(['tools/call']);
  });

  it('ends with an error when its deployment is deleted, or its server goes before it has agreed', async () => {
    const { sessions, servers, send, processes } = start();
    const early = await send(listen);
    await sessions.stopAll('paused', 'dp_a');
    const late = await send(listen);
    processes[1]?.say(notice(ACKNOWLEDGED, processes[1].read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    servers.endListens('dp_b');
    expect(late.outlet.lasts).toEqual([]);
    servers.endListens('dp_a');
    for (const { outlet } of [early, late]) {
      expect(outlet.messages.at(-1)).toMatchObject({ id: 'sub', error: { code: -32000 } });
      expect(outlet.lasts).toHaveLength(1);
    }
  });
});

import { describe, expect, it } from 'vitest';
import { Gate } from '../../../test/support/gate.js';
import { modern } from '../../../test/support/modern-request.js';
import { warmServers } from '../../../test/support/warm-servers.js';

const never = new AbortController().signal;

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

  it('keeps its server, and keeps nothing busy', async () => {
    const { sessions, processes, send, call, answer } = warmServers();
    await send(modern(1, 'subscriptions/listen', { notifications: { toolsListChanged: true } }));
    expect([processes.length, sessions.isBusy('dp_a')]).toEqual([1, false]);
    await call();
    expect(sessions.isBusy('dp_a')).toBe(true);
    answer(0);
    expect([processes.length, sessions.isBusy('dp_a')]).toEqual([1, false]);
  });

  it('stays open when its server is gone, and goes on with the next one of its principal', async () => {
    const { sessions, send, call, processes } = warmServers();
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
    const { sessions, servers, send, processes } = warmServers();
    const { outlet } = await send(listen);
    const other = await send(listen, 'b');
    for (const process of processes) process.say(notice(ACKNOWLEDGED, process.read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    await servers.rejoin('dp_b', never);
    expect(processes).toHaveLength(2);
    let isJoined = false;
    const joining = servers.rejoin('dp_a', never).finally(() => {
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
    await servers.rejoin('dp_a', never);
    expect(processes).toHaveLength(4);
  });

  it('does not go on with a process that is told to stop on its way, unless a request asks for it', async () => {
    let gate: Gate | undefined;
    const { sessions, servers, send, call, processes, answer } = warmServers({ opening: () => gate?.wait() });
    await send(listen);
    processes[0]?.say(notice(ACKNOWLEDGED, processes[0].read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    gate = new Gate();
    const joining = servers.rejoin('dp_a', never);
    await gate.reached;
    await sessions.stopAll('paused', 'dp_a');
    expect([processes.length, sessions.count('dp_a')]).toEqual([1, 0]);
    gate.open();
    await joining;
    expect([processes.length, processes[1]?.ends, sessions.count('dp_a')]).toEqual([2, 1, 0]);

    gate = new Gate();
    void servers.rejoin('dp_a', never);
    const calling = call();
    await gate.reached;
    await sessions.stopAll('paused', 'dp_a');
    gate.open();
    await calling;
    expect(processes[2]?.read.map(({ method }) => method)).toEqual(['subscriptions/listen', 'tools/call']);
    answer(2);
  });

  it('holds nobody up when its client leaves before the next server has agreed', async () => {
    const { servers, sessions, send, call, processes, answer } = warmServers();
    const left = await send(listen);
    processes[0]?.say(notice(ACKNOWLEDGED, processes[0].read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    const joining = servers.rejoin('dp_a', never);
    await expect.poll(() => processes[1]?.read.length).toBe(1);
    const calling = call();
    left.cancel();
    await joining;
    await calling;
    answer(1);
    expect(sessions.isBusy('dp_a')).toBe(false);
  });

  it('stays open though its server answers it when it is told to end', async () => {
    const { sessions, send, call, processes } = warmServers({
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
    const { sessions, send, call, processes } = warmServers();
    const left = await send(listen);
    processes[0]?.say(notice(ACKNOWLEDGED, processes[0].read.at(-1)?.id));
    await sessions.stopAll('paused', 'dp_a');
    left.cancel();
    await call();
    expect(processes[1]?.read.map(({ method }) => method)).toEqual(['tools/call']);
  });

  it('ends with an error when its deployment is deleted, or its server goes before it has agreed', async () => {
    const { sessions, servers, send, processes } = warmServers();
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

import { afterEach, describe, expect, it } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { echo, initialize } from '../../../../test/support/edge-server.js';
import { RawSseClient } from '../../../../test/support/sse-client.js';
import { RawWebSocketClient } from '../../../../test/support/websocket-client.js';

const MANY = 1000;

let server: ConnectionServer;

afterEach(() => server.close());

function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
}

const kinds: Record<string, () => Promise<() => void>> = {
  'event streams': async () => {
    const client = await RawSseClient.connect(server.port);
    await client.ask(initialize(), 1);
    return () => client.leave();
  },
  WebSockets: async () => {
    const client = await RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`);
    await client.ask(initialize(), 1);
    return () => client.ws.terminate();
  },
};

describe.each(Object.entries(kinds))('%s', (_, connect) => {
  it(`${MANY} at once that are idle, and then dropped, leave no session, process, timer or lease`, async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on('warning', onWarning);
    server = await startConnections(echo, { maxSessions: MANY });
    const before = timers();
    const leave: (() => void)[] = [];
    while (leave.length < MANY) {
      leave.push(...(await Promise.all(Array.from({ length: 50 }, connect))));
    }
    expect(server.sessions.count('dp_a')).toBe(MANY);
    for (const one of leave) one();
    await expect.poll(() => server.sessions.count('dp_a'), { timeout: 20_000 }).toBe(0);
    await expect.poll(() => server.sockets.every((socket) => socket.destroyed)).toBe(true);
    expect(server.processes.every((process) => process.ends === 1)).toBe(true);
    await expect.poll(timers).toBeLessThanOrEqual(before);
    expect((server.memory as unknown as { bytes: number }).bytes).toBe(0);
    expect(server.counts).toEqual({ leases: 0, opened: MANY, handled: 0, calls: 0 });
    expect([server.faults, warnings]).toEqual([[], []]);
    process.off('warning', onWarning);
  }, 60_000);
});

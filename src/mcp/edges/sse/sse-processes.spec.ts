import { afterEach, describe, expect, it } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { call, echo, initialize } from '../../../../test/support/edge-server.js';
import { RawSseClient, send } from '../../../../test/support/sse-client.js';

const servers: ConnectionServer[] = [];

async function start(...options: Parameters<typeof startConnections>): Promise<ConnectionServer> {
  const server = await startConnections(...options);
  servers.push(server);
  return server;
}

async function open(server: ConnectionServer): Promise<RawSseClient> {
  const client = await RawSseClient.connect(server.port);
  await client.ask(initialize('2024-11-05'), 1);
  return client;
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    await server.close();
    await expect.poll(() => server.counts).toMatchObject({ leases: 0, handled: 0, calls: 0 });
    expect(server.sessions.count('dp_a')).toBe(0);
    expect(server.processes.every((process) => process.ends === 1)).toBe(true);
    expect(server.faults).toEqual([]);
  }
});

describe('an HTTP+SSE session', () => {
  it('that has said nothing yet when its deployment is paused begins with another process', async () => {
    const server = await start();
    const client = await RawSseClient.connect(server.port);
    await server.sessions.stopAll('paused', 'dp_a');
    expect([client.stream.ended, server.sessions.count('dp_a')]).toEqual([false, 0]);
    await client.ask(initialize('2024-11-05'), 1);
    expect(client.messages).toMatchObject([{ result: { protocolVersion: '2024-11-05' } }]);
    expect(server.processes.map(({ read }) => read.length)).toEqual([0, 1]);
    expect(server.sessions.count('dp_a')).toBe(1);
  });

  it('whose server exits stays open: its calls are told why, and the next one is answered by a new process', async () => {
    const server = await start();
    const [busy, idle] = [await open(server), await open(server)];
    await busy.post(call(7));
    for (const process of server.processes) {
      process.complain('out of luck\n');
      process.exit(3);
    }
    await busy.until(2);
    const message = 'The server exited with code 3. It said:\nout of luck';
    expect(busy.messages[1]).toMatchObject({ id: 7, error: { message, data: { code: 'server_exited' } } });
    expect(server.sessions.count('dp_a')).toBe(0);
    for (const [client, params] of [
      [busy, server.processes[0]?.read[0]?.params],
      [idle, server.processes[1]?.read[0]?.params],
    ] as const) {
      const before = client.messages.length;
      await client.send(call('next'));
      expect(server.process.read.map(({ method }) => method)).toEqual([
        'initialize',
        'notifications/initialized',
        'tools/call',
      ]);
      expect(server.process.read[0]?.params).toEqual(params);
      server.process.say({ jsonrpc: '2.0', id: server.process.read[2]?.id, result: { n: 1 } });
      await client.until(before + 1);
      expect(client.messages.slice(before)).toEqual([{ jsonrpc: '2.0', id: 'next', result: { n: 1 } }]);
    }
    expect(idle.messages).toHaveLength(2);
    expect([busy.stream.ended, idle.stream.ended]).toEqual([false, false]);
    expect(server.sessions.count('dp_a')).toBe(2);
  });

  it('over the limit is refused with 503, until the process of an idle one gives way, which stays open', async () => {
    const server = await start(echo, { maxSessions: 1 });
    const client = await open(server);
    server.clock.now += 10 * 60_000 - 1;
    const refused = await (await send(server.port, 'GET', '/sse')).whole();
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '10']);
    expect(refused.json).toMatchObject({ error: { data: { code: 'session_limit' } } });
    server.clock.now += 24 * 3_600_000;
    await server.sessions.expire();
    expect(server.process.ends).toBe(0);
    const other = await open(server);
    expect(server.processes.map(({ ends }) => ends)).toEqual([1, 0]);
    expect(server.sessions.count('dp_a')).toBe(1);
    await client.ask(call(1), 2);
    expect(client.messages[1]).toMatchObject({ id: 1, error: { data: { code: 'session_limit' } } });
    other.leave();
    await expect.poll(() => server.sessions.count('dp_a')).toBe(0);
    await client.ask(call(2, { n: 2 }), 3);
    expect(client.messages[2]).toEqual({ jsonrpc: '2.0', id: 2, result: { n: 2 } });
    expect(server.process.read[0]?.params).toEqual(server.processes[0]?.read[0]?.params);
    expect(client.stream.ended).toBe(false);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { note } from '../../../../test/support/edge-server.js';
import { modern, tool } from '../../../../test/support/modern-request.js';
import type { ReadMessage, Script } from '../../../../test/support/scripted-process.js';
import { RawWebSocketClient } from '../../../../test/support/websocket-client.js';

let server: ConnectionServer;
let client: RawWebSocketClient;

/** Answers with the arguments; `hold` leaves the answer to the spec. */
const echo: Script = ({ id, params }, process) => {
  const args = params?.['arguments'] as { hold?: boolean } | undefined;
  if (id !== undefined && args?.hold !== true) process.say({ jsonrpc: '2.0', id, result: { args } });
};
/** The connection's own process comes first and is told nothing. */
const told = (): ReadMessage[] => server.processes[1]?.read ?? [];
const heard = async (n: number): Promise<ReadMessage> => {
  await vi.waitFor(() => expect(told().length).toBeGreaterThan(n));
  return told()[n] as ReadMessage;
};

beforeEach(async () => {
  server = await startConnections(echo);
  client = await RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`);
});

afterEach(async () => {
  client.ws.close();
  await client.end();
  await vi.waitFor(() => expect(server.counts).toMatchObject({ leases: 0, handled: 0, calls: 0 }));
  expect(server.faults).toEqual([]);
  await server.close();
});

describe('a WebSocket client of the modern era', () => {
  it('is answered without a handshake', async () => {
    await client.ask(tool('a', { n: 1 }), 1);
    expect(await client.ask(tool('b', { n: 2 }), 2)).toEqual([
      { jsonrpc: '2.0', id: 'a', result: { args: { n: 1 } } },
      { jsonrpc: '2.0', id: 'b', result: { args: { n: 2 } } },
    ]);
    expect(server.processes[0]?.lines).toEqual([]);
  });

  it('gets progress under its token, and cancels by a notification', async () => {
    client.send(tool('mine', { hold: true }, { token: 't' }));
    const { id, params } = await heard(0);
    const { progressToken } = (params as { _meta: { progressToken: unknown } })['_meta'];
    server.processes[1]?.say(note('notifications/progress', { progressToken, progress: 1 }));
    await client.ask(note('notifications/cancelled', { requestId: 'mine' }), 1);
    expect(client.messages).toEqual([note('notifications/progress', { progressToken: 't', progress: 1 })]);
    expect(await heard(1)).toMatchObject({ method: 'notifications/cancelled', params: { requestId: id } });
    server.processes[1]?.say({ jsonrpc: '2.0', id, result: {} });
    expect(await client.ask(tool('next'), 2)).toHaveLength(2);
  });

  it('has each of its calls counted once, and is in use meanwhile', async () => {
    const deploymentId = 'dp_a';
    for (const id of [1, 2]) client.send(tool(id, { hold: true }));
    const { id: first } = await heard(0);
    await heard(1);
    const counts = (): number[] => server.sessions.list(deploymentId).map(({ inFlight }) => inFlight);
    expect(counts()).toEqual([0, 2]);
    expect(server.sessions.inFlight(deploymentId)).toBe(2);
    expect(server.sessions.isBusy(deploymentId)).toBe(true);
    server.processes[1]?.say({ jsonrpc: '2.0', id: first, result: {} });
    await client.until(() => client.messages.length === 1);
    expect(counts()).toEqual([0, 1]);
  });

  it('cancels all there is when it leaves', async () => {
    for (const id of [1, 2]) client.send(tool(id, { hold: true }));
    await heard(1);
    client.ws.terminate();
    expect([(await heard(2)).method, (await heard(3)).method]).toEqual([
      'notifications/cancelled',
      'notifications/cancelled',
    ]);
  });

  it('is told what is wrong with a request', async () => {
    const [answer] = await client.ask(modern(1, 'ping'), 1);
    expect(answer).toMatchObject({ id: 1, error: { code: -32601 } });
    await client.ask(modern(2, 'tools/list', {}, { revision: '2099-01-01' }), 2);
    expect(client.messages[1]).toMatchObject({ id: 2, error: { code: -32022 } });
  });

  it('takes no place of its own, and ends with its deployment', async () => {
    await client.ask(tool(1), 1);
    await vi.waitFor(() => expect(server.processes.map(({ ends }) => ends)).toEqual([1, 0]));
    expect(server.sessions.count('dp_a')).toBe(1);
    await server.sessions.closeAll('dp_a');
    expect(await client.end()).toMatchObject({ code: 1001 });
    expect(server.sessions.count('dp_a')).toBe(0);
  });

  it('has the process replaced that was taken for it, whoever started the server it talks to', async () => {
    await client.ask(tool('a'), 1);
    const before = server.counts.opened;
    const another = await RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`);
    await another.ask(tool('b'), 1);
    expect(server.counts.opened).toBe(before + 1);
    another.ws.close();
    await another.end();
  });

  it('stays in its era', async () => {
    await client.ask(tool(1), 1);
    const initialize = { jsonrpc: '2.0', id: 2, method: 'initialize', params: {} };
    await client.ask(initialize, 2);
    expect(client.messages[1]).toMatchObject({ id: 2, error: { code: -32602 } });
  });
});

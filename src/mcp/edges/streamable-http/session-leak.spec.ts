import { Agent } from 'node:http';
import type { Socket } from 'node:net';
import { expect, it } from 'vitest';
import { call, echo, initialize, startEdge } from '../../../../test/support/edge-server.js';
import { exchange } from '../../../../test/support/http-exchange.js';

function timers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
}

it('1,000 sessions one after another leave no entry, timer or listener', async () => {
  const edge = await startEdge(echo);
  const warnings: Error[] = [];
  const onWarning = (warning: Error): number => warnings.push(warning);
  process.on('warning', onWarning);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<Socket>();
  edge.server.on('connection', (socket: Socket) => sockets.add(socket));
  const send = async (message: object | undefined, headers: Record<string, string> = {}, method = 'POST') =>
    (
      await exchange(edge.port, { method, headers, agent, ...(message && { body: JSON.stringify(message) }) })
    ).whole();
  const listeners = (): number =>
    [...sockets].reduce(
      (sum, socket) => sum + socket.eventNames().reduce((n, name) => n + socket.listenerCount(name), 0),
      0,
    );

  let before = { listeners: 0, timers: 0 };
  for (let n = 0; n < 1000; n++) {
    const opened = await send(initialize());
    const session = { 'mcp-session-id': String(opened.headers['mcp-session-id']) };
    expect((await send(call(1), session)).status).toBe(200);
    expect((await send(undefined, session, 'DELETE')).status).toBe(200);
    if (n === 0) before = { listeners: listeners(), timers: timers() };
  }
  expect(listeners()).toBe(before.listeners);
  expect(timers()).toBeLessThanOrEqual(before.timers);
  expect(sockets.size).toBe(1);
  expect(edge.processes.every((one) => one.ends === 1)).toBe(true);
  expect(edge.sessions.count('dp_a')).toBe(0);
  expect(edge.faults).toEqual([]);
  expect(warnings).toEqual([]);
  process.off('warning', onWarning);
  agent.destroy();
  await edge.close();
}, 60_000);

import { afterEach, describe, expect, it } from 'vitest';
import { startConnections } from '../../../../test/support/connection-server.js';
import { call, echo, initialize, startEdge } from '../../../../test/support/edge-server.js';
import { headersOf, tool } from '../../../../test/support/modern-request.js';
import type { ScriptedProcess } from '../../../../test/support/scripted-process.js';
import { RawSseClient } from '../../../../test/support/sse-client.js';
import { RawWebSocketClient } from '../../../../test/support/websocket-client.js';

const TRACE = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: 'a=1' };
const OTHER = '00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01';

const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function opened<T extends { close(): Promise<void> }>(server: T): T {
  closing.push(() => server.close());
  return server;
}

/** The last request that the server read. */
function readBy(process: ScriptedProcess): Record<string, unknown> | undefined {
  return process.read.findLast(({ method }) => method === 'tools/call')?.params;
}

describe('the trace that HTTP headers name reaches the server in _meta', () => {
  it('over Streamable HTTP, with each request of a batch, and not with initialize', async () => {
    const edge = opened(await startEdge(echo));
    const first = await (await edge.ask(initialize('2025-03-26'), TRACE)).whole();
    expect(edge.process.lines[0]).not.toContain('traceparent');
    const session = { 'mcp-session-id': String(first.headers['mcp-session-id']) };
    await (await edge.ask(call(1, { a: 1 }), { ...session, ...TRACE })).whole();
    expect(readBy(edge.process)).toEqual({ a: 1, _meta: TRACE });
    const own = { _meta: { traceparent: OTHER, progressToken: 't' } };
    const batch = [call(2, { b: 1 }), call(3, own)];
    const answers = (await (await edge.ask(batch, { ...session, ...TRACE })).whole()).json as {
      id: number;
      result: object;
    }[];
    expect(answers.map(({ id }) => id)).toEqual([2, 3]);
    expect(answers[0]?.result).toEqual({ b: 1, _meta: TRACE });
    expect(readBy(edge.process)).toMatchObject({ _meta: { traceparent: OTHER } });
    await (await edge.ask(call(4, { c: 1 }), session)).whole();
    expect(readBy(edge.process)).toEqual({ c: 1 });
    await (await edge.ask(call(5, { d: 1 }), { ...session, traceparent: 'x', tracestate: 'a=1' })).whole();
    expect(readBy(edge.process)).toEqual({ d: 1 });
  });

  it('in revision 2026-07-28', async () => {
    const edge = opened(await startEdge(echo));
    const message = tool(1, { a: 1 });
    await (await edge.ask(message, { ...headersOf(message), ...TRACE })).whole();
    expect(readBy(edge.process)).toMatchObject({ name: 'echo', arguments: { a: 1 }, _meta: TRACE });
  });

  it('over HTTP+SSE with the POST that brings the request; over WebSocket messages have no headers', async () => {
    const server = opened(await startConnections(echo));
    const client = await RawSseClient.connect(server.port);
    await client.ask(initialize('2024-11-05'), 1);
    await client.post(call(1, { a: 1 }), TRACE);
    await client.until(2);
    expect(readBy(server.process)).toEqual({ a: 1, _meta: TRACE });
    client.leave();
    const ws = await RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`, { headers: TRACE });
    await ws.ask(initialize('2025-11-25'), 1);
    await ws.ask(call(2, { b: 1, _meta: { traceparent: OTHER } }), 2);
    expect(readBy(server.process)).toEqual({ b: 1, _meta: { traceparent: OTHER } });
    ws.ws.close();
  });
});

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CallToolResultSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { mcpServer, type ReadMessage } from '../../../../test/support/scripted-process.js';

let server: ConnectionServer;
const before = globalThis.WebSocket;

beforeEach(async () => {
  // Node 20 has none.
  globalThis.WebSocket = WebSocket as unknown as typeof globalThis.WebSocket;
  let asked: ReadMessage | undefined;
  server = await startConnections(
    mcpServer((message, process) => {
      if (message.params?.['name'] === 'work') {
        asked = message;
        const { progressToken } = message.params['_meta'] as { progressToken: number };
        const question = { message: 'who?', requestedSchema: { type: 'object', properties: {} } };
        process.say(
          { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'busy' } },
          { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } },
          { jsonrpc: '2.0', id: 1, method: 'elicitation/create', params: question },
        );
      } else if (message.result !== undefined) {
        const text = JSON.stringify(message.result);
        process.say({ jsonrpc: '2.0', id: asked?.id, result: { content: [{ type: 'text', text }] } });
      }
    }),
  );
});

afterEach(async () => {
  await server.close();
  globalThis.WebSocket = before;
});

const transports: Record<string, (port: number) => Transport> = {
  SSEClientTransport: (port) => new SSEClientTransport(new URL(`http://127.0.0.1:${port}/sse`)),
  WebSocketClientTransport: (port) => new WebSocketClientTransport(new URL(`ws://127.0.0.1:${port}/ws`)),
};

describe.each(Object.entries(transports))("the SDK's %s, unmodified", (_, transport) => {
  it('calls, hears progress and logs, is asked, cancels, and leaves nothing behind', async () => {
    const client = new Client({ name: 'sdk', version: '1' }, { capabilities: { elicitation: {} } });
    const [logs, reports]: [unknown[], number[]] = [[], []];
    client.setNotificationHandler(
      LoggingMessageNotificationSchema,
      ({ params }) => void logs.push(params.data),
    );
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'me' } }));
    await client.connect(transport(server.port));
    const onprogress = ({ progress }: { progress: number }): void => void reports.push(progress);
    const result = await client.callTool({ name: 'work' }, CallToolResultSchema, { onprogress });
    expect(result).toMatchObject({ content: [{ text: expect.stringContaining('"me"') as string }] });
    expect([logs, reports]).toEqual([['busy'], [1]]);
    const leaving = new AbortController();
    const never = client.callTool({ name: 'never' }, undefined, { signal: leaving.signal });
    const told = server.process.lines.length;
    await server.process.told(told);
    leaving.abort();
    await expect(never).rejects.toThrow();
    expect(await server.process.told(told + 1)).toMatchObject({ method: 'notifications/cancelled' });
    expect(server.counts).toMatchObject({ leases: 0, opened: 1, calls: 0 });
    await client.close();
    await expect.poll(() => server.process.ends).toBe(1);
    expect(server.sessions.count('dp_a')).toBe(0);
    expect(server.faults).toEqual([]);
  });
});

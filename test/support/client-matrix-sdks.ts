import { Client as ClientTwo, StreamableHTTPClientTransport as HttpTwo } from '@modelcontextprotocol/client';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { WebSocket } from 'ws';
import type { MatrixClient, MatrixTarget } from './client-matrix.js';
import { newClient, textOf, tokenOf } from './client.js';

type Edge = 'Streamable HTTP' | 'HTTP+SSE' | 'WebSocket';

/** Far apart, also on a busy machine: these clients drop reports that come together with the answer. */
const REPORTS = { n: 3, gapMs: 500 };

const ACCEPTED = { action: 'accept' as const, content: { answer: 'yes' } };

/** What the server says that it was told, see the tool `ask`. */
export function answerIn(text: string): string {
  return (JSON.parse(text) as typeof ACCEPTED).content.answer;
}

export async function sdkOne(edge: Edge, target: MatrixTarget): Promise<MatrixClient> {
  return connectSdkOne(transportOf(edge, target));
}

/** The official SDK's client of the handshake era, on whatever transport. */
export async function connectSdkOne(transport: Transport): Promise<MatrixClient> {
  const client: Client = newClient({ elicitation: {} });
  client.setRequestHandler(ElicitRequestSchema, () => ACCEPTED);
  await client.connect(transport);
  return {
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    echo: async (text) => textOf(await client.callTool({ name: 'echo', arguments: { text } })),
    async progress(label) {
      const reports: number[] = [];
      const onprogress = ({ progress }: { progress: number }): unknown => reports.push(progress);
      await client.callTool({ name: 'progress', arguments: { ...REPORTS, label } }, undefined, {
        onprogress,
      });
      return reports;
    },
    ask: async (label) => answerIn(textOf(await client.callTool({ name: 'ask', arguments: { label } }))),
    async close() {
      if (transport instanceof StreamableHTTPClientTransport) await transport.terminateSession();
      await client.close();
    },
  };
}

/** The second generation of the SDK. It negotiates the era, or insists on one. */
export async function sdkTwo(
  mode: 'legacy' | 'auto' | { pin: string },
  target: MatrixTarget,
): Promise<MatrixClient> {
  const transport = new HttpTwo(new URL(target.urls.mcp), { requestInit: { headers: tokenOf(target) } });
  const client = new ClientTwo(
    { name: 'mcp-runner-e2e', version: '1.0.0' },
    { capabilities: { elicitation: {} }, versionNegotiation: { mode } },
  );
  client.setRequestHandler('elicitation/create', () => ACCEPTED);
  await client.connect(transport);
  const expected = mode === 'legacy' ? 'legacy' : 'modern';
  if (client.getProtocolEra() !== expected) throw new Error(`It speaks the ${client.getProtocolEra()} era`);
  return {
    toolNames: async () => (await client.listTools()).tools.map(({ name }) => name),
    echo: async (text) => textOf(await client.callTool({ name: 'echo', arguments: { text } })),
    async progress(label) {
      const reports: number[] = [];
      const onprogress = ({ progress }: { progress: number }): unknown => reports.push(progress);
      await client.callTool({ name: 'progress', arguments: { ...REPORTS, label } }, { onprogress });
      return reports;
    },
    ask: async (label) => answerIn(textOf(await client.callTool({ name: 'ask', arguments: { label } }))),
    async close() {
      if (mode === 'legacy') await transport.terminateSession();
      await client.close();
    },
  };
}

function transportOf(edge: Edge, target: MatrixTarget): Transport {
  const requestInit = { headers: tokenOf(target) };
  if (edge === 'HTTP+SSE') return new SSEClientTransport(new URL(target.urls.sse), { requestInit });
  if (edge === 'WebSocket') return webSocketTo(target);
  return new StreamableHTTPClientTransport(new URL(target.urls.mcp), { requestInit });
}

/** As in a browser: the transport sets no headers, so the key is offered as a subprotocol. Node 20 has no WebSocket. */
function webSocketTo({ urls, accessToken = '' }: MatrixTarget): Transport {
  const key = `mcp.bearer.${Buffer.from(accessToken).toString('base64url')}`;
  class WithKey extends WebSocket {
    constructor(address: string | URL, protocol: string) {
      super(address, [protocol, key]);
    }
  }
  const transport = new WebSocketClientTransport(new URL(urls.ws));
  const start = transport.start.bind(transport);
  transport.start = () => {
    const before = globalThis.WebSocket as unknown;
    Object.assign(globalThis, { WebSocket: WithKey });
    try {
      // It makes its WebSocket at once.
      return start();
    } finally {
      Object.assign(globalThis, { WebSocket: before });
    }
  };
  return transport;
}

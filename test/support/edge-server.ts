import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { StdioChannel } from '../../src/mcp/channels/stdio-channel.js';
import { HttpSessions } from '../../src/mcp/edges/streamable-http/http-sessions.js';
import { StreamableHttpEdge } from '../../src/mcp/edges/streamable-http/streamable-http-edge.js';
import { StatelessHttpEdge } from '../../src/mcp/edges/stateless-http/stateless-http-edge.js';
import { countingCalls } from './counting-calls.js';
import type { Upstream } from '../../src/mcp/edges/upstream.js';
import { WarmServers } from '../../src/mcp/modern/warm-servers.js';
import { SessionDirectory } from '../../src/mcp/sessions/session-directory.js';
import { type Ask, type Exchange, exchange } from './http-exchange.js';
import { MemorySessionStore } from './memory-session-store.js';
import { mcpServer, type Script, ScriptedProcess } from './scripted-process.js';

export type EdgeServer = Awaited<ReturnType<typeof startEdge>>;

/** The edge on a port of its own, over scripted processes. The header `x-principal` says who asks. */
export async function startEdge(
  script: Script = mcpServer(),
  changes: Partial<Upstream> = {},
  options: { store?: MemorySessionStore } = {},
) {
  const clock = { now: Date.now() };
  const sessions = new SessionDirectory(() => clock.now);
  const faults: unknown[] = [];
  const processes: ScriptedProcess[] = [];
  const counts = { leases: 0, opened: 0, handled: 0, calls: 0 };
  const calls = countingCalls(counts);
  const stateless = new StatelessHttpEdge(new WarmServers(sessions, () => clock.now));
  const store = options.store ?? new MemorySessionStore();
  const httpSessions = new HttpSessions(
    sessions,
    store,
    () => clock.now,
    (fault) => faults.push(fault),
  );
  const edge = new StreamableHttpEdge(httpSessions, stateless, (fault) => faults.push(fault));
  const openChannel = (): Promise<StdioChannel> => {
    const process = new ScriptedProcess(script);
    processes.push(process);
    return Promise.resolve(new StdioChannel(process, 32 << 20));
  };
  const upstream: Omit<Upstream, 'owner' | 'arrivedAt'> = {
    maxSessions: 3,
    maxMessageBytes: 1 << 20,
    handshakeMs: 60_000,
    openChannel,
    modern: {
      isNative: () => Promise.resolve(true),
      open: async () => ({ channel: await openChannel(), parked: undefined }),
    },
    isServingAll: false,
    untilJoined: () => undefined,
    onOpened: () => counts.opened++,
    calls,
    lease: () => {
      counts.leases++;
      return () => counts.leases--;
    },
    ...changes,
  };
  const server = createServer((req, res) => {
    counts.handled++;
    const owner = { deploymentId: 'dp_a', principal: String(req.headers['x-principal']) };
    void edge
      .handle(req, res, { ...upstream, arrivedAt: performance.now(), owner })
      .finally(() => counts.handled--);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const ask = (body: object | string | Buffer, headers: Ask['headers'] = {}): Promise<Exchange> =>
    exchange(port, {
      headers,
      body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
    });

  return {
    port,
    server,
    edge,
    clock,
    sessions,
    store,
    faults,
    processes,
    counts,
    ask,
    /** The process of the newest session. */
    get process(): ScriptedProcess {
      return processes.at(-1) as ScriptedProcess;
    },
    /** Opens a session; the headers its requests carry. */
    async open(revision = '2025-06-18'): Promise<{ 'mcp-session-id': string }> {
      const opened = await (await ask(initialize(revision))).whole();
      return { 'mcp-session-id': String(opened.headers['mcp-session-id']) };
    },
    listen(headers: Ask['headers']): Promise<Exchange> {
      return exchange(port, { method: 'GET', headers: { 'content-type': undefined, ...headers } });
    },
    /** A POST whose body is under way until `finish`, which resolves with the head of the answer. */
    upload(body: object, headers: Record<string, string> = {}): { finish(): Promise<Exchange> } {
      const text = JSON.stringify(body);
      const half = new PassThrough();
      const answer = exchange(port, { headers, body: half });
      half.write(text.slice(0, 5));
      return {
        finish: () => {
          half.end(text.slice(5));
          return answer;
        },
      };
    },
    remove(headers: Ask['headers']): Promise<Exchange> {
      return exchange(port, { method: 'DELETE', headers: { 'content-type': undefined, ...headers } });
    },
    async close(): Promise<void> {
      await sessions.closeAll();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function initialize(protocolVersion = '2025-06-18', id: number | string = 0): object {
  return {
    jsonrpc: '2.0',
    id,
    method: 'initialize',
    params: { protocolVersion, capabilities: {}, clientInfo: { name: 'spec', version: '1' } },
  };
}

export function call(id: number | string, params: object = {}): object {
  return { jsonrpc: '2.0', id, method: 'tools/call', params };
}

export function note(method: string, params: object = {}): object {
  return { jsonrpc: '2.0', method, params };
}

/** A server that answers every call with its params. */
export const echo: Script = mcpServer((message, process) => {
  if (message.id !== undefined && message.method !== undefined) {
    process.say({ jsonrpc: '2.0', id: message.id, result: message.params });
  }
});

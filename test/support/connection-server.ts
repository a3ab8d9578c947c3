import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { StdioChannel } from '../../src/mcp/channels/stdio-channel.js';
import { MessageMemory } from '../../src/mcp/edges/http/message-memory.js';
import { SseEdge } from '../../src/mcp/edges/sse/sse-edge.js';
import { countingCalls } from './counting-calls.js';
import type { Upstream } from '../../src/mcp/edges/upstream.js';
import { WebSocketEdge } from '../../src/mcp/edges/websocket/websocket-edge.js';
import { WarmServers } from '../../src/mcp/modern/warm-servers.js';
import { SessionDirectory } from '../../src/mcp/sessions/session-directory.js';
import { mcpServer, type Script, ScriptedProcess } from './scripted-process.js';

export type ConnectionServer = Awaited<ReturnType<typeof startConnections>>;

/**
 * The HTTP+SSE and the WebSocket edge on one port, over scripted processes: /sse, /messages and /ws. The headers
 * `x-principal` and `x-deployment` say who asks for what.
 */
export async function startConnections(script: Script = mcpServer(), changes: Partial<Upstream> = {}) {
  const clock = { now: Date.now() };
  const sessions = new SessionDirectory(() => clock.now);
  const faults: unknown[] = [];
  const processes: ScriptedProcess[] = [];
  const sockets: Socket[] = [];
  const counts = { leases: 0, opened: 0, handled: 0, calls: 0 };
  const calls = countingCalls(counts);
  const memory = new MessageMemory();
  const warm = new WarmServers(sessions, () => clock.now);
  const openChannel = (): Promise<StdioChannel> => {
    const process = new ScriptedProcess(script);
    processes.push(process);
    return Promise.resolve(new StdioChannel(process, 32 << 20));
  };
  const sse = new SseEdge(sessions, warm, (fault) => faults.push(fault), memory);
  const ws = new WebSocketEdge(sessions, warm, (fault) => faults.push(fault), memory);
  const upstreamOf = ({ headers }: IncomingMessage): Upstream => ({
    arrivedAt: performance.now(),
    owner: {
      deploymentId: String(headers['x-deployment'] ?? 'dp_a'),
      principal: String(headers['x-principal']),
    },
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
  });
  const count = async (work: Promise<unknown>): Promise<void> => {
    counts.handled++;
    await work;
    counts.handled--;
  };
  const server = createServer((req, res) => {
    const upstream = upstreamOf(req);
    void count(
      req.url?.startsWith('/sse') ? sse.stream(req, res, upstream) : sse.message(req, res, upstream),
    );
  });
  server.on('upgrade', (req, socket, head) => void count(ws.upgrade(req, socket, head, upstreamOf(req))));
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    server,
    clock,
    sessions,
    memory,
    faults,
    processes,
    /** Of every client that connected, our ends. */
    sockets,
    counts,
    /** The process of the newest session. */
    get process(): ScriptedProcess {
      return processes.at(-1) as ScriptedProcess;
    },
    async close(): Promise<void> {
      await sessions.closeAll();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

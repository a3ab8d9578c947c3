import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  Injectable,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { Config } from '../config/config.js';
import { Activity } from '../deployments/activity.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { DeploymentEvents, type StatusChange } from '../deployments/deployment-events.js';
import { DeploymentsRepository } from '../deployments/deployments.repository.js';
import { SessionCensus } from '../deployments/session-census.js';
import { AppError } from '../errors/app-error.js';
import { showRequestId, takeRequestId } from '../errors/request-id.js';
import { withoutLastWords } from '../mcp/channels/last-words.js';
import { clientLeft, EdgeError, sendEmpty, sendError } from '../mcp/edges/http/http-reply.js';
import { MessageMemory } from '../mcp/edges/http/message-memory.js';
import { SseEdge } from '../mcp/edges/sse/sse-edge.js';
import { StatelessHttpEdge } from '../mcp/edges/stateless-http/stateless-http-edge.js';
import { HttpSessions } from '../mcp/edges/streamable-http/http-sessions.js';
import { StreamableHttpEdge } from '../mcp/edges/streamable-http/streamable-http-edge.js';
import type { Upstream } from '../mcp/edges/upstream.js';
import { refuseUpgrade } from '../mcp/edges/websocket/refuse-upgrade.js';
import { WebSocketEdge } from '../mcp/edges/websocket/websocket-edge.js';
import { isModernHeader } from '../mcp/modern/modern-checks.js';
import { LISTEN } from '../mcp/modern/modern-request.js';
import { WarmServers } from '../mcp/modern/warm-servers.js';
import { SessionDirectory } from '../mcp/sessions/session-directory.js';
import { GatewayAuth } from './gateway-auth.js';
import { GatewayFaults } from './gateway-faults.js';
import { LiveSessions } from './live-sessions.js';
import { OriginGuard } from './origin-guard.js';
import { ProcessPool } from './process-pool.js';
import { failed } from './readiness.js';
import { Rejoins } from './rejoins.js';
import { SharedServers } from './shared-servers.js';
import { StoredSessions } from './stored-sessions.js';
import { UpstreamProxy } from './upstream-proxy.js';
import { Upstreams } from './upstreams.js';

const SWEEP_INTERVAL_MS = 5000;
const DRAIN_MS = 20_000;
const DRAIN_POLL_MS = 50;
/** When a client may find the next control plane. */
export const RESTART_SECONDS = 5;
const PATH = /^\/mcp-server\/(dp_[\w-]{8,64})\/(mcp|sse|messages|ws)$/;

interface Target {
  endpoint: string;
  row: DeploymentRow;
  upstream: Upstream;
}

/** The data path: everything below `/mcp-server/:id`, from the request to the edge that speaks its transport. */
@Injectable()
export class Gateway implements OnModuleInit, OnModuleDestroy, BeforeApplicationShutdown {
  private readonly sessions: SessionDirectory;
  private readonly streamableHttp: StreamableHttpEdge;
  private readonly sse: SseEdge;
  private readonly webSocket: WebSocketEdge;
  private readonly proxy: UpstreamProxy;
  private readonly warm: WarmServers;
  /** By deployment: the end of its processes, while it is under way. */
  private readonly leaving = new Map<string, Promise<unknown>>();
  /** By deployment: aborted when the process stops that those who only listen are on their way to. */
  private readonly rejoining = new Map<string, AbortController>();
  private sweeping: NodeJS.Timeout | undefined;
  /** From the signal to end on: nothing new is begun. */
  isClosing = false;

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly events: DeploymentEvents,
    private readonly activity: Activity,
    private readonly auth: GatewayAuth,
    private readonly origins: OriginGuard,
    private readonly processes: ProcessPool,
    private readonly sharedServers: SharedServers,
    private readonly upstreams: Upstreams,
    private readonly rejoins: Rejoins,
    private readonly census: SessionCensus,
    private readonly store: StoredSessions,
    private readonly config: Config,
    private readonly faults: GatewayFaults,
  ) {
    const now = Date.now;
    const sessions = new SessionDirectory(now, config.sessionExpiresAfterSeconds * 1000);
    this.sessions = sessions;
    const onFault = (error: unknown, req?: IncomingMessage): void => faults.tell(error, req);
    const memory = new MessageMemory();
    this.warm = new WarmServers(sessions, now);
    const { warm } = this;
    const stateless = new StatelessHttpEdge(warm);
    const httpSessions = new HttpSessions(sessions, store, now, onFault);
    this.streamableHttp = new StreamableHttpEdge(httpSessions, stateless, onFault, memory);
    this.sse = new SseEdge(sessions, warm, onFault, memory);
    this.webSocket = new WebSocketEdge(sessions, warm, onFault, memory);
    this.proxy = new UpstreamProxy(onFault);
  }

  onModuleInit(): void {
    this.events.onStatus((change) => this.followStatus(change));
    this.events.onStopping((id) => this.leaveSandbox(id));
    this.events.onServing((id) => this.rejoin(id));
    const onFault = (error: unknown): void => this.faults.tell(error);
    this.census.ask(new LiveSessions(this.sessions, this.store, this.proxy, onFault));
    this.activity.alsoBusy((id) => this.sessions.isBusy(id));
    this.sweeping = setInterval(() => this.sweep(), SWEEP_INTERVAL_MS).unref();
  }

  /** The sessions that are known here, by whether they have a server process. */
  tallySessions(): { serving: number; resting: number } {
    return this.sessions.tally();
  }

  /** Comes first, and before anything is taken apart. */
  onModuleDestroy(): void {
    this.isClosing = true;
  }

  /** Calls under way may end; then the processes that hold them do. Sessions go on with the next control plane. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.sweeping);
    for (const until = Date.now() + DRAIN_MS; this.activity.isAnyBusy && Date.now() < until;) {
      await delay(DRAIN_POLL_MS);
    }
    await this.sessions.stopAll('The service is restarting; the call may have been carried out');
    await this.sessions.closeAll();
    await Promise.all([this.sharedServers.stopAll(), this.processes.drainAll()]);
  }

  /** Answer a request below `/mcp-server`, whatever goes wrong. The body must be unread. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    takeRequestId(req);
    showRequestId(req, res);
    try {
      this.origins.setCorsHeaders(req, res);
      if (req.method === 'OPTIONS') {
        sendEmpty(res, 204);
        return;
      }
      const { endpoint, row, upstream } = this.admit(req);
      // Whatever a POST waits for, its deployment is in use meanwhile.
      if (req.method === 'POST' && !isListen(req)) res.once('close', this.activity.begin(row.id));
      if (endpoint === 'sse') await this.sse.stream(req, res, upstream);
      else if (endpoint === 'messages') await this.sse.message(req, res, upstream);
      else if (endpoint === 'mcp') await this.serveStreamableHttp(req, res, row, upstream);
      else throw new EdgeError(426, 'Upgrade Required: this is for WebSocket', undefined, UPGRADE);
    } catch (error) {
      sendError(res, this.known(error, req));
    }
  }

  /** Answer a request to upgrade to a WebSocket below `/mcp-server`, whatever goes wrong. Resolves with the status. */
  async upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<number> {
    takeRequestId(req);
    try {
      const { endpoint, upstream } = this.admit(req);
      if (endpoint !== 'ws') throw new EdgeError(400, 'Bad Request: WebSocket is at /mcp-server/:id/ws');
      return await this.webSocket.upgrade(req, socket, head, upstream);
    } catch (error) {
      return refuseUpgrade(req, socket, this.known(error, req));
    }
  }

  /**
   * Requests of the modern era, which stand for themselves, pass as they are to a server that speaks the same; but not
   * those that listen, which outlive its process.
   */
  private async serveStreamableHttp(
    req: IncomingMessage,
    res: ServerResponse,
    row: DeploymentRow,
    upstream: Upstream,
  ): Promise<void> {
    const isDirect = req.method === 'POST' && isModernHeader(req.headers) && !isListen(req);
    if (row.transport === 'streamable_http' && isDirect) {
      const endpoint = await this.upstreams.findDirect(row, signalOf(res)).catch((error: unknown) => {
        this.proxy.noteRefusal(req, upstream, error);
        throw error;
      });
      if (endpoint) {
        await upstream.untilJoined();
        return this.proxy.handle(req, res, { ...upstream, endpoint });
      }
    }
    await this.streamableHttp.handle(req, res, upstream);
  }

  /** Who may not come in is told why; the rest has a deployment to talk to. */
  private admit(req: IncomingMessage): Target {
    if (this.isClosing) throw new AppError('shutting_down', { retryAfterSeconds: RESTART_SECONDS });
    const [path = ''] = (req.url ?? '').split('?', 1);
    const [, id, endpoint] = PATH.exec(path) ?? [];
    if (id === undefined || endpoint === undefined) {
      throw new AppError('route_not_found', { detail: 'MCP is at /mcp-server/:id/mcp, …/sse and …/ws' });
    }
    const row = this.repository.find(id);
    if (!row || row.status === 'deleting') throw new AppError('deployment_not_found');
    this.origins.check(req, row.access === 'public');
    const principal = this.auth.principalOf(req, row);
    if (row.status === 'failed') throw failed(row);
    this.activity.touch(row.id);
    return { endpoint, row, upstream: this.upstreams.of(row, principal) };
  }

  /** Those who only listen are with it again, whoever's request brought it. Both have deadlines and never reject. */
  private rejoin(id: string): void {
    // One that is being paused is not to be woken by those who listen.
    if (this.repository.find(id)?.status !== 'running') return;
    const stop = new AbortController();
    this.rejoining.set(id, stop);
    const joining = Promise.all([this.sessions.rejoin(id), this.warm.rejoin(id, stop.signal)]).finally(() => {
      if (this.rejoining.get(id) === stop) this.rejoining.delete(id);
    });
    this.rejoins.add(id, joining);
  }

  private known(error: unknown, req: IncomingMessage): EdgeError | AppError {
    if (error instanceof EdgeError || error instanceof AppError) return error;
    this.faults.tell(error, req);
    return new AppError('internal_error');
  }

  private followStatus({ deploymentId, from, to }: StatusChange): void {
    if (to === 'running') {
      const row = this.repository.find(deploymentId);
      if (row) this.processes.fill(row);
      return;
    }
    // Clients of what is paused or has failed stay connected; those of what is deleted are told.
    if (to === 'deleting') {
      void this.sessions.closeAll(deploymentId);
      this.warm.endListens(deploymentId);
    }
    // At once, or requests that come before the sandbox goes would still reach the processes that go with it.
    if (from === 'running' || to === 'deleting' || to === 'failed') void this.leaveSandbox(deploymentId);
  }

  /** Resolves when all server processes of a deployment have ended, also those that were told before. Never rejects. */
  private async leaveSandbox(id: string): Promise<void> {
    this.rejoining.get(id)?.abort(new AppError('server_stopped'));
    const leaving = Promise.all([this.leaving.get(id), this.endProcesses(id)]);
    this.leaving.set(id, leaving);
    await leaving;
    if (this.leaving.get(id) === leaving) this.leaving.delete(id);
  }

  /** They have deadlines of their own; never rejects. */
  private async endProcesses(id: string): Promise<void> {
    const why = withoutLastWords(this.repository.find(id)?.reasonMessage ?? 'The deployment is gone.');
    await this.sessions.stopAll(`The server was stopped. ${why}`, id);
    await Promise.all([this.sharedServers.stop(id), this.processes.drain(id)]);
  }

  private sweep(): void {
    const idleMsOf = (id: string, connected: boolean): number => {
      // The process stays for others, and what it tells them concerns who listens as well.
      if (connected && this.upstreams.isServingAll(id)) return Infinity;
      return (this.repository.find(id)?.sessionIdleSeconds ?? 0) * 1000;
    };
    // Both have deadlines of their own and never reject.
    void this.sessions.stopIdle(idleMsOf);
    void this.sessions.expire();
    this.sessions.expireCalls(this.config.maxCallSeconds * 1000);
  }
}

/** As the header says, which has to say what the body does. */
function isListen({ headers }: IncomingMessage): boolean {
  return headers['mcp-method'] === LISTEN;
}

/** Aborted when the client is gone, or has its answer. */
function signalOf(res: ServerResponse): AbortSignal {
  const closed = new AbortController();
  res.once('close', () => closed.abort(clientLeft()));
  return closed.signal;
}

const UPGRADE = { upgrade: 'websocket', connection: 'Upgrade' };

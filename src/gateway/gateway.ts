import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type BeforeApplicationShutdown, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Activity } from '../deployments/activity.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { DeploymentEvents, type StatusChange } from '../deployments/deployment-events.js';
import { DeploymentsRepository } from '../deployments/deployments.repository.js';
import { AppError } from '../errors/app-error.js';
import { EdgeError, sendEmpty, sendError } from '../mcp/edges/http/http-reply.js';
import { MessageMemory } from '../mcp/edges/http/message-memory.js';
import { SseEdge } from '../mcp/edges/sse/sse-edge.js';
import { StatelessHttpEdge } from '../mcp/edges/stateless-http/stateless-http-edge.js';
import { StreamableHttpEdge } from '../mcp/edges/streamable-http/streamable-http-edge.js';
import type { Upstream } from '../mcp/edges/upstream.js';
import { refuseUpgrade } from '../mcp/edges/websocket/refuse-upgrade.js';
import { WebSocketEdge } from '../mcp/edges/websocket/websocket-edge.js';
import { isModernHeader } from '../mcp/modern/modern-checks.js';
import { WarmServers } from '../mcp/modern/warm-servers.js';
import { SessionDirectory } from '../mcp/sessions/session-directory.js';
import { GatewayAuth } from './gateway-auth.js';
import { OriginGuard } from './origin-guard.js';
import { ProcessPool } from './process-pool.js';
import { SharedServers } from './shared-servers.js';
import { UpstreamProxy } from './upstream-proxy.js';
import { failed, Upstreams } from './upstreams.js';

const EXPIRY_INTERVAL_MS = 60_000;
const PATH = /^\/mcp-server\/(dp_[\w-]{8,64})\/(mcp|sse|messages|ws)$/;

interface Target {
  endpoint: string;
  row: DeploymentRow;
  upstream: Upstream;
}

/** The data path: everything below `/mcp-server/:id`, from the request to the edge that speaks its transport. */
@Injectable()
export class Gateway implements OnModuleInit, BeforeApplicationShutdown {
  private readonly logger = new Logger(Gateway.name);
  private readonly sessions = new SessionDirectory(() => Date.now());
  private readonly streamableHttp: StreamableHttpEdge;
  private readonly sse: SseEdge;
  private readonly webSocket: WebSocketEdge;
  private readonly proxy: UpstreamProxy;
  private expiry: NodeJS.Timeout | undefined;

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly events: DeploymentEvents,
    private readonly activity: Activity,
    private readonly auth: GatewayAuth,
    private readonly origins: OriginGuard,
    private readonly processes: ProcessPool,
    private readonly sharedServers: SharedServers,
    private readonly upstreams: Upstreams,
  ) {
    const { sessions } = this;
    const onFault = (error: unknown): void => this.logger.error(error);
    const memory = new MessageMemory();
    const warm = new WarmServers(sessions, () => Date.now());
    const stateless = new StatelessHttpEdge(warm);
    this.streamableHttp = new StreamableHttpEdge(sessions, stateless, onFault, memory);
    this.sse = new SseEdge(sessions, warm, onFault, memory);
    this.webSocket = new WebSocketEdge(sessions, warm, onFault, memory);
    this.proxy = new UpstreamProxy(sessions, onFault);
  }

  onModuleInit(): void {
    this.events.onStatus((change) => this.followStatus(change));
    this.expiry = setInterval(() => void this.sessions.expire(), EXPIRY_INTERVAL_MS).unref();
  }

  /** Conversations end with the process that holds them; sandboxes stay. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.expiry);
    await this.sessions.closeAll();
    await Promise.all([this.sharedServers.stopAll(), this.processes.drainAll()]);
  }

  /** Answer a request below `/mcp-server`, whatever goes wrong. The body must be unread. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      this.origins.setCorsHeaders(req, res);
      if (req.method === 'OPTIONS') {
        sendEmpty(res, 204);
        return;
      }
      const { endpoint, row, upstream } = this.admit(req);
      if (endpoint === 'sse') await this.sse.stream(req, res, upstream);
      else if (endpoint === 'messages') await this.sse.message(req, res, upstream);
      else if (endpoint === 'mcp') await this.serveStreamableHttp(req, res, row, upstream);
      else throw new EdgeError(426, 'Upgrade Required: this is for WebSocket', undefined, UPGRADE);
    } catch (error) {
      sendError(res, this.known(error));
    }
  }

  /** Answer a request to upgrade to a WebSocket below `/mcp-server`, whatever goes wrong. */
  async upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    try {
      const { endpoint, upstream } = this.admit(req);
      if (endpoint !== 'ws') throw new EdgeError(400, 'Bad Request: WebSocket is at /mcp-server/:id/ws');
      await this.webSocket.upgrade(req, socket, head, upstream);
    } catch (error) {
      refuseUpgrade(req, socket, this.known(error));
    }
  }

  /** Messages to a server that speaks the client's own transport in its era pass as they are. */
  private async serveStreamableHttp(
    req: IncomingMessage,
    res: ServerResponse,
    row: DeploymentRow,
    upstream: Upstream,
  ): Promise<void> {
    const era = isModernHeader(req.headers) ? 'modern' : 'handshake';
    // The modern era has nothing but POST.
    const canPass = row.transport === 'streamable_http' && (era === 'handshake' || req.method === 'POST');
    const endpoint = canPass ? await this.upstreams.findDirect(row, era, signalOf(res)) : undefined;
    if (endpoint) await this.proxy.handle(req, res, { ...upstream, endpoint, era });
    else await this.streamableHttp.handle(req, res, upstream);
  }

  /** Who may not come in is told why; the rest has a deployment to talk to. */
  private admit(req: IncomingMessage): Target {
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

  private known(error: unknown): EdgeError | AppError {
    if (error instanceof EdgeError || error instanceof AppError) return error;
    this.logger.error(error);
    return new AppError('internal_error');
  }

  private followStatus({ deploymentId, to }: StatusChange): void {
    if (to === 'running') {
      const row = this.repository.find(deploymentId);
      if (row) this.processes.fill(row);
      return;
    }
    // Whatever the sandbox held is gone or going; all have deadlines of their own and never reject.
    void this.sessions.closeAll(deploymentId);
    void this.sharedServers.stop(deploymentId);
    void this.processes.drain(deploymentId);
  }
}

/** Aborted when the client is gone, or has its answer. */
function signalOf(res: ServerResponse): AbortSignal {
  const closed = new AbortController();
  res.once('close', () => closed.abort());
  return closed.signal;
}

const UPGRADE = { upgrade: 'websocket', connection: 'Upgrade' };

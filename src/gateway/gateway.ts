import type { IncomingMessage, ServerResponse } from 'node:http';
import { type BeforeApplicationShutdown, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Activity } from '../deployments/activity.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { DeploymentEvents, type StatusChange } from '../deployments/deployment-events.js';
import { DeploymentsRepository } from '../deployments/deployments.repository.js';
import { AppError } from '../errors/app-error.js';
import { EdgeError, sendEmpty, sendError } from '../mcp/edges/http/http-reply.js';
import type { HttpSession } from '../mcp/edges/streamable-http/http-session.js';
import { StatelessHttpEdge } from '../mcp/edges/stateless-http/stateless-http-edge.js';
import { StreamableHttpEdge } from '../mcp/edges/streamable-http/streamable-http-edge.js';
import { WarmServers } from '../mcp/modern/warm-servers.js';
import { SessionDirectory } from '../mcp/sessions/session-directory.js';
import { GatewayAuth } from './gateway-auth.js';
import { OriginGuard } from './origin-guard.js';
import { ProcessPool } from './process-pool.js';
import { failed, Upstreams } from './upstreams.js';

const EXPIRY_INTERVAL_MS = 60_000;
const PATH = /^\/mcp-server\/(dp_[\w-]{8,64})\/mcp$/;

/** The data path: `/mcp-server/:id/mcp`, from the HTTP request to the session's server process. */
@Injectable()
export class Gateway implements OnModuleInit, BeforeApplicationShutdown {
  private readonly logger = new Logger(Gateway.name);
  private readonly sessions = new SessionDirectory<HttpSession>(() => Date.now());
  private readonly warmServers = new WarmServers(this.sessions, () => Date.now());
  private readonly edge = new StreamableHttpEdge(
    this.sessions,
    new StatelessHttpEdge(this.warmServers),
    (error) => this.logger.error(error),
  );
  private expiry: NodeJS.Timeout | undefined;

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly events: DeploymentEvents,
    private readonly activity: Activity,
    private readonly auth: GatewayAuth,
    private readonly origins: OriginGuard,
    private readonly processes: ProcessPool,
    private readonly upstreams: Upstreams,
  ) {}

  onModuleInit(): void {
    this.events.onStatus((change) => this.followStatus(change));
    this.expiry = setInterval(() => void this.sessions.expire(), EXPIRY_INTERVAL_MS).unref();
  }

  /** Conversations end with the process that holds them; sandboxes stay. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.expiry);
    await Promise.all([this.sessions.closeAll(), this.processes.drainAll()]);
  }

  /** Answer a request below `/mcp-server`, whatever goes wrong. The body must be unread. */
  async handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      this.origins.setCorsHeaders(req, res);
      if (req.method === 'OPTIONS') {
        sendEmpty(res, 204);
        return;
      }
      const row = this.find(req);
      this.origins.check(req, row.access === 'public');
      const principal = this.auth.principalOf(req, row);
      if (row.status === 'failed') throw failed(row);
      this.activity.touch(row.id);
      await this.edge.handle(req, res, this.upstreams.of(row, principal));
    } catch (error) {
      const known = error instanceof EdgeError || error instanceof AppError;
      if (!known) this.logger.error(error);
      sendError(res, known ? error : new AppError('internal_error'));
    }
  }

  private find(req: IncomingMessage): DeploymentRow {
    const [path = ''] = (req.url ?? '').split('?', 1);
    const id = PATH.exec(path)?.[1];
    if (id === undefined) throw new AppError('route_not_found', { detail: 'MCP is at /mcp-server/:id/mcp' });
    const row = this.repository.find(id);
    if (!row || row.status === 'deleting') throw new AppError('deployment_not_found');
    return row;
  }

  private followStatus({ deploymentId, to }: StatusChange): void {
    if (to === 'running') {
      const row = this.repository.find(deploymentId);
      if (row) this.processes.fill(row);
      return;
    }
    // Whatever the sandbox held is gone or going; both have deadlines of their own and never reject.
    void this.sessions.closeAll(deploymentId);
    void this.processes.drain(deploymentId);
  }
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import { type BeforeApplicationShutdown, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Config } from '../config/config.js';
import { Activity } from '../deployments/activity.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { DeploymentEvents, type StatusChange } from '../deployments/deployment-events.js';
import { DeploymentsRepository } from '../deployments/deployments.repository.js';
import { DeploymentWaits } from '../deployments/deployment-waits.js';
import { Reconciler } from '../deployments/reconciler.js';
import { AppError } from '../errors/app-error.js';
import type { Channel } from '../mcp/channels/channel.js';
import { EdgeError, sendEmpty, sendError } from '../mcp/edges/http/http-reply.js';
import type { HttpSession } from '../mcp/edges/streamable-http/http-session.js';
import { StreamableHttpEdge } from '../mcp/edges/streamable-http/streamable-http-edge.js';
import { SessionDirectory } from '../mcp/sessions/session-directory.js';
import { GatewayAuth } from './gateway-auth.js';
import { OriginGuard } from './origin-guard.js';
import { ProcessPool } from './process-pool.js';

const EXPIRY_INTERVAL_MS = 60_000;
const FAILED_RETRY_SECONDS = 30;
const GONE_RETRY_SECONDS = 5;
const PATH = /^\/mcp-server\/(dp_[\w-]{8,64})\/mcp$/;

/** The data path: `/mcp-server/:id/mcp`, from the HTTP request to the session's server process. */
@Injectable()
export class Gateway implements OnModuleInit, BeforeApplicationShutdown {
  private readonly logger = new Logger(Gateway.name);
  private readonly sessions = new SessionDirectory<HttpSession>(() => Date.now());
  private readonly edge = new StreamableHttpEdge(this.sessions, (error) => this.logger.error(error));
  private expiry: NodeJS.Timeout | undefined;

  constructor(
    private readonly config: Config,
    private readonly repository: DeploymentsRepository,
    private readonly waits: DeploymentWaits,
    private readonly reconciler: Reconciler,
    private readonly events: DeploymentEvents,
    private readonly activity: Activity,
    private readonly auth: GatewayAuth,
    private readonly origins: OriginGuard,
    private readonly processes: ProcessPool,
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
      await this.edge.handle(req, res, {
        owner: { deploymentId: row.id, principal },
        maxSessions: row.maxSessions,
        maxMessageBytes: this.config.maxMessageBytes,
        handshakeMs: row.startTimeoutSeconds * 1000,
        openChannel: (signal) => this.openChannel(row, signal),
        onOpened: () => this.processes.fill(row),
        lease: () => this.activity.begin(row.id),
      });
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

  /** Waits for a deployment that is starting. One whose sandbox turns out to be gone is brought back. */
  private async openChannel(row: DeploymentRow, signal: AbortSignal): Promise<Channel> {
    const ready =
      row.status === 'running'
        ? row
        : await this.waits.untilSettled(row.id, row.startTimeoutSeconds * 1000, signal);
    if (ready.status === 'failed') throw failed(ready);
    try {
      return await this.processes.take(ready, signal);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'sandbox_gone') throw error;
      this.reconciler.request(row.id);
      throw new AppError('deployment_not_ready', {
        detail: 'its sandbox is gone and is started again',
        retryAfterSeconds: GONE_RETRY_SECONDS,
        cause: error,
      });
    }
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

function failed(row: DeploymentRow): AppError {
  return new AppError('deployment_failed', {
    detail: row.reasonMessage,
    retryAfterSeconds: FAILED_RETRY_SECONDS,
  });
}

import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config } from '../config/config.js';
import { Activity } from '../deployments/activity.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { DeploymentWaits } from '../deployments/deployment-waits.js';
import { Reconciler } from '../deployments/reconciler.js';
import { AppError } from '../errors/app-error.js';
import type { Channel } from '../mcp/channels/channel.js';
import type { HttpEndpoint } from '../mcp/channels/http-endpoint.js';
import type { Upstream } from '../mcp/edges/upstream.js';
import type { Era } from '../mcp/modern/era.js';
import type { ModernChannel } from '../mcp/modern/modern-upstream.js';
import { HandshakeServerAsModern } from '../mcp/translation/handshake-server-as-modern.js';
import { ModernServerAsHandshake } from '../mcp/translation/modern-server-as-handshake.js';
import { RequestSeal } from '../mcp/translation/request-seal.js';
import { CLIENT_INFO } from './client-info.js';
import { Eras } from './eras.js';
import { HttpServers } from './http-servers.js';
import { ProcessPool } from './process-pool.js';
import { SharedServers } from './shared-servers.js';

const FAILED_RETRY_SECONDS = 30;
const GONE_RETRY_SECONDS = 5;

/** What the edges need of a deployment: conversations with its server in the era of the client. */
@Injectable()
export class Upstreams {
  /** For as long as the calls live that it is about, which end with the control plane. */
  private readonly seal = new RequestSeal(randomBytes(32));

  constructor(
    private readonly config: Config,
    private readonly waits: DeploymentWaits,
    private readonly reconciler: Reconciler,
    private readonly activity: Activity,
    private readonly processes: ProcessPool,
    private readonly httpServers: HttpServers,
    private readonly sharedServers: SharedServers,
    private readonly eras: Eras,
  ) {}

  of(row: DeploymentRow, principal: string): Upstream {
    return {
      owner: { deploymentId: row.id, principal },
      maxSessions: row.maxSessions,
      maxMessageBytes: this.config.maxMessageBytes,
      handshakeMs: row.startTimeoutSeconds * 1000,
      openChannel: (signal) => this.openHandshake(row, signal),
      modern: {
        isNative: (signal) => this.isNative(row, signal),
        open: (native, signal) => this.openModern(row, principal, native, signal),
      },
      onOpened: () => {
        if (!isShared(row)) this.processes.fill(row);
      },
      lease: () => this.activity.begin(row.id),
    };
  }

  /** Where a server that speaks Streamable HTTP listens, if it speaks this era; undefined where it must be translated. */
  async findDirect(row: DeploymentRow, era: Era, signal: AbortSignal): Promise<HttpEndpoint | undefined> {
    const ready = await this.ready(row, signal);
    return this.guarded(ready, async () =>
      (await this.eras.speaks(era, ready, Date.now())) ? this.httpServers.ready(ready, signal) : undefined,
    );
  }

  private async isNative(row: DeploymentRow, signal: AbortSignal): Promise<boolean> {
    const ready = await this.ready(row, signal);
    return this.guarded(ready, async () => {
      // A process that all share speaks the era that most clients do.
      if (isShared(ready) && (await this.eras.speaks('handshake', ready, Date.now()))) return false;
      return this.eras.speaks('modern', ready, Date.now());
    });
  }

  private async openHandshake(row: DeploymentRow, signal: AbortSignal): Promise<Channel> {
    const ready = await this.ready(row, signal);
    return this.guarded(ready, async () => {
      if (await this.eras.speaks('handshake', ready, Date.now())) return this.open(ready, signal);
      const channel = await this.processes.take(ready, signal);
      return new ModernServerAsHandshake(channel, { handshakeMs: row.startTimeoutSeconds * 1000 });
    });
  }

  private async openModern(
    row: DeploymentRow,
    principal: string,
    native: boolean,
    signal: AbortSignal,
  ): Promise<ModernChannel> {
    const ready = await this.ready(row, signal);
    return this.guarded(ready, async () => {
      if (native) return { channel: await this.processes.take(ready, signal), parked: undefined };
      const translated = new HandshakeServerAsModern(await this.open(ready, signal), {
        clientInfo: CLIENT_INFO,
        handshakeMs: row.startTimeoutSeconds * 1000,
        seal: this.seal,
        principal: `${row.id} ${principal}`,
      });
      return { channel: translated, parked: translated };
    });
  }

  /** A conversation with a server of the handshake era. */
  private open(row: DeploymentRow, signal: AbortSignal): Promise<Channel> {
    return isShared(row) ? this.sharedServers.open(row) : this.processes.take(row, signal);
  }

  /** Waits for a deployment that is starting. */
  private async ready(row: DeploymentRow, signal: AbortSignal): Promise<DeploymentRow> {
    if (row.status === 'running') return row;
    const ready = await this.waits.untilSettled(row.id, row.startTimeoutSeconds * 1000, signal);
    if (ready.status === 'failed') throw failed(ready);
    return ready;
  }

  /** A deployment whose sandbox turns out to be gone is brought back. */
  private async guarded<T>(row: DeploymentRow, open: () => Promise<T>): Promise<T> {
    try {
      return await open();
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
}

function isShared(row: DeploymentRow): boolean {
  return row.sessionMode === 'shared';
}

export function failed(row: DeploymentRow): AppError {
  return new AppError('deployment_failed', {
    detail: row.reasonMessage,
    retryAfterSeconds: FAILED_RETRY_SECONDS,
  });
}

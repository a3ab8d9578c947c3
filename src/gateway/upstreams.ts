import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Config } from '../config/config.js';
import { Activity } from '../deployments/activity.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { DeploymentsRepository } from '../deployments/deployments.repository.js';
import type { Channel } from '../mcp/channels/channel.js';
import type { HttpEndpoint } from '../mcp/channels/http-endpoint.js';
import { Calls } from '../mcp/edges/calls/calls.js';
import type { Upstream } from '../mcp/edges/upstream.js';
import type { ModernChannel } from '../mcp/modern/modern-upstream.js';
import { HandshakeServerAsModern } from '../mcp/translation/handshake-server-as-modern.js';
import { ModernServerAsHandshake } from '../mcp/translation/modern-server-as-handshake.js';
import { RequestSeal } from '../mcp/translation/request-seal.js';
import { CLIENT_INFO } from './client-info.js';
import { Eras } from './eras.js';
import { HttpServers } from './http-servers.js';
import { ProcessPool } from './process-pool.js';
import { Readiness } from './readiness.js';
import { Rejoins } from './rejoins.js';
import { SharedServers } from './shared-servers.js';

/** What the edges need of a deployment: conversations with its server in the era of the client. */
@Injectable()
export class Upstreams {
  /** For as long as the calls live that it is about, which end with the control plane. */
  private readonly seal = new RequestSeal(randomBytes(32));

  constructor(
    private readonly config: Config,
    private readonly repository: DeploymentsRepository,
    private readonly activity: Activity,
    private readonly readiness: Readiness,
    private readonly processes: ProcessPool,
    private readonly httpServers: HttpServers,
    private readonly sharedServers: SharedServers,
    private readonly eras: Eras,
    private readonly rejoins: Rejoins,
    private readonly calls: Calls,
  ) {}

  of({ id, startTimeoutSeconds, maxSessions }: DeploymentRow, principal: string): Upstream {
    const { config, repository, activity, rejoins, calls } = this;
    const isServingAll = (): boolean => this.isServingAll(id);
    // Connections outlive changes of these.
    const now = (): Pick<DeploymentRow, 'startTimeoutSeconds' | 'maxSessions'> =>
      repository.find(id) ?? { startTimeoutSeconds, maxSessions };
    return {
      owner: { deploymentId: id, principal },
      arrivedAt: performance.now(),
      get maxSessions() {
        return now().maxSessions;
      },
      maxMessageBytes: config.maxMessageBytes,
      get handshakeMs() {
        return now().startTimeoutSeconds * 1000;
      },
      openChannel: (signal, sessionId) => this.openHandshake(id, signal, sessionId),
      modern: {
        isNative: (signal) => this.isNative(id, signal),
        open: (native, signal, sessionId) => this.openModern({ id, principal, sessionId }, native, signal),
      },
      get isServingAll() {
        return isServingAll();
      },
      untilJoined: () => rejoins.untilJoined(id),
      onOpened: () => {
        const row = repository.find(id);
        if (row?.status === 'running' && !isShared(row)) this.processes.fill(row);
      },
      lease: () => activity.begin(id),
      calls,
    };
  }

  /** Whether the deployment runs, with a process that serves all its clients. */
  isServingAll(id: string): boolean {
    if (this.repository.find(id)?.status !== 'running') return false;
    return this.sharedServers.isServing(id) || this.httpServers.isServing(id);
  }

  /** Where a server that speaks Streamable HTTP takes requests of the modern era; undefined where they must be translated. */
  findDirect({ id }: DeploymentRow, signal: AbortSignal): Promise<HttpEndpoint | undefined> {
    return this.readiness.whileRunning(id, signal, async (row) => {
      if (!(await this.eras.speaks('modern', row, Date.now()))) return undefined;
      const endpoint = await this.httpServers.ready(row, signal);
      this.httpServers.noteClient(id);
      return endpoint;
    });
  }

  private isNative(id: string, signal: AbortSignal): Promise<boolean> {
    return this.readiness.whileRunning(id, signal, async (row) => {
      // A process that all share speaks the era that most clients do.
      if (isShared(row) && (await this.eras.speaks('handshake', row, Date.now()))) return false;
      return this.eras.speaks('modern', row, Date.now());
    });
  }

  private openHandshake(id: string, signal: AbortSignal, sessionId: string): Promise<Channel> {
    return this.readiness.whileRunning(id, signal, async (row) => {
      if (await this.eras.speaks('handshake', row, Date.now())) return this.open(row, signal, sessionId);
      const channel = await this.processes.take(row, signal, sessionId);
      return new ModernServerAsHandshake(channel, { handshakeMs: row.startTimeoutSeconds * 1000 });
    });
  }

  private openModern(
    { id, principal, sessionId }: { id: string; principal: string; sessionId: string },
    native: boolean,
    signal: AbortSignal,
  ): Promise<ModernChannel> {
    return this.readiness.whileRunning(id, signal, async (row) => {
      if (native) return { channel: await this.processes.take(row, signal, sessionId), parked: undefined };
      const translated = new HandshakeServerAsModern(await this.open(row, signal, sessionId), {
        clientInfo: CLIENT_INFO,
        handshakeMs: row.startTimeoutSeconds * 1000,
        seal: this.seal,
        principal: `${id} ${principal}`,
      });
      return { channel: translated, parked: translated };
    });
  }

  /** A conversation with a server of the handshake era. */
  private open(row: DeploymentRow, signal: AbortSignal, sessionId: string): Promise<Channel> {
    return isShared(row) ? this.sharedServers.open(row) : this.processes.take(row, signal, sessionId);
  }
}

function isShared({ sessionMode }: DeploymentRow): boolean {
  return sessionMode === 'shared';
}

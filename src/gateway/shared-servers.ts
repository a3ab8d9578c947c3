import { Injectable, Logger } from '@nestjs/common';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { DeploymentEvents } from '../deployments/deployment-events.js';
import type { Channel, ChannelClosed } from '../mcp/channels/channel.js';
import { SharedServer } from '../mcp/shared/shared-server.js';
import { CLIENT_INFO } from './client-info.js';
import { ProcessPool } from './process-pool.js';

const IDLE_MS = 600_000;

/** The one server process of each deployment whose sessions share it. */
@Injectable()
export class SharedServers {
  private readonly logger = new Logger(SharedServers.name);
  private readonly servers = new Map<string, Promise<SharedServer>>();

  constructor(
    private readonly processes: ProcessPool,
    private readonly events: DeploymentEvents,
  ) {}

  /** A session with the deployment's process, which is started if it does not run. Throws `sandbox_gone` and the like. */
  async open(row: DeploymentRow): Promise<Channel> {
    const known = await this.servers.get(row.id);
    if (known && !known.whyClosed) return known.open();
    return (await this.start(row)).open();
  }

  /** Whether it is there, or about to be. */
  isServing(deploymentId: string): boolean {
    return this.servers.has(deploymentId);
  }

  /** End the process of a deployment, and its sessions. Resolves when nothing of it is left; never rejects. */
  async stop(deploymentId: string): Promise<void> {
    const stopping = this.servers.get(deploymentId);
    // At once, so that nobody gets a session with it meanwhile, and one that is started behind it stays known.
    this.servers.delete(deploymentId);
    const server = await stopping?.catch(() => undefined);
    await server?.close();
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.servers.keys()].map((id) => this.stop(id)));
  }

  /** Single flight. Not ended by the leaving of the client that came first: others wait for it. */
  private start(row: DeploymentRow): Promise<SharedServer> {
    const known = this.servers.get(row.id);
    if (known) return known;
    const starting: Promise<SharedServer> = this.spawn(row, (why) => {
      if (this.servers.get(row.id) === starting) this.servers.delete(row.id);
      // Its clients are not told what it said last, which may be about any of them.
      if (why && why.cause !== 'ended') {
        this.logger.warn({ event: 'shared_server_closed', deploymentId: row.id, message: why.message });
      }
    });
    this.servers.set(row.id, starting);
    // Whoever asked for it is told what kept it from starting.
    starting.then(() => this.events.serving(row.id)).catch(() => undefined);
    return starting;
  }

  private async spawn(row: DeploymentRow, forget: (why?: ChannelClosed) => void): Promise<SharedServer> {
    try {
      const channel = await this.processes.take(row, new AbortController().signal);
      const handshakeMs = row.startTimeoutSeconds * 1000;
      return new SharedServer(channel, { clientInfo: CLIENT_INFO, handshakeMs, idleMs: IDLE_MS }, forget);
    } catch (error) {
      forget();
      throw error;
    }
  }
}

import { Injectable, Logger } from '@nestjs/common';
import { Config } from '../config/config.js';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { StdioChannel } from '../mcp/channels/stdio-channel.js';

const SPAWN_MS = 30_000;

/** Server processes: started on demand, with some spare ones booted ahead so that opening a session is instant. */
@Injectable()
export class ProcessPool {
  private readonly logger = new Logger(ProcessPool.name);
  private readonly spares = new Map<string, Promise<StdioChannel | undefined>[]>();

  constructor(
    private readonly config: Config,
    private readonly runtime: SandboxRuntime,
  ) {}

  /** A server process that nobody has spoken to: the oldest spare, or a new one. Throws `sandbox_gone` and the like. */
  async take(row: DeploymentRow, signal: AbortSignal): Promise<StdioChannel> {
    const spares = this.spares.get(row.id);
    for (let spare = spares?.shift(); spare; spare = spares?.shift()) {
      const channel = await spare;
      if (channel && !channel.whyClosed) return channel;
    }
    return this.spawn(row, signal);
  }

  /** A server process of its own for one conversation, never a spare. */
  async spawn(row: DeploymentRow, signal: AbortSignal): Promise<StdioChannel> {
    const spec = row.args === null ? { env: row.env } : { args: row.args, env: row.env };
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(SPAWN_MS)]);
    const process = await this.runtime.spawn(row.id, spec, deadline);
    return new StdioChannel(process, this.config.maxMessageBytes);
  }

  /** Start the spares that are missing. Returns at once; a spare that cannot be started is no spare. */
  fill(row: DeploymentRow): void {
    const spares = this.spares.get(row.id) ?? [];
    this.spares.set(row.id, spares);
    while (spares.length < row.warmProcesses) spares.push(this.spawnSpare(row));
  }

  /** End the spares of a deployment. */
  async drain(deploymentId: string): Promise<void> {
    const spares = this.spares.get(deploymentId) ?? [];
    this.spares.delete(deploymentId);
    const channels = await Promise.all(spares);
    await Promise.all(channels.map(async (channel) => channel?.close()));
  }

  async drainAll(): Promise<void> {
    await Promise.all([...this.spares.keys()].map((id) => this.drain(id)));
  }

  private async spawnSpare(row: DeploymentRow): Promise<StdioChannel | undefined> {
    try {
      return await this.spawn(row, new AbortController().signal);
    } catch (error) {
      // Whoever opens a session next starts a process of its own and sees the reason.
      this.logger.debug({ event: 'spare_failed', deploymentId: row.id, error: String(error) });
      return undefined;
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { Config } from '../config/config.js';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { CrashLoops } from '../deployments/crash-loops.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { isHttpType } from '../deployments/endpoint.js';
import { LogStore } from '../logs/log-store.js';
import type { Channel } from '../mcp/channels/channel.js';
import { withoutLastWords } from '../mcp/channels/last-words.js';
import { StdioChannel } from '../mcp/channels/stdio-channel.js';
import type { ProcessLog } from '../logs/process-log.js';
import { HttpServers } from './http-servers.js';
import { LoggedProcess } from './logged-process.js';
import { sessionHandleOf } from './session-handle.js';
import { WatchedChannel } from './watched-channel.js';

const SPAWN_MS = 30_000;

/**
 * Conversations with servers of any kind. Those on stdio get a process each, started on demand, with some spare ones
 * booted ahead so that opening a session is instant; those that speak HTTP share the one process of their deployment.
 */
@Injectable()
export class ProcessPool {
  private readonly logger = new Logger(ProcessPool.name);
  private readonly spares = new Map<string, Promise<Channel | undefined>[]>();
  private readonly processLogs = new WeakMap<Channel, ProcessLog>();

  constructor(
    private readonly config: Config,
    private readonly runtime: SandboxRuntime,
    private readonly httpServers: HttpServers,
    private readonly crashes: CrashLoops,
    private readonly logs: LogStore,
  ) {}

  /**
   * A conversation that nobody has begun: with the oldest spare process or a new one, or with the deployment's HTTP
   * server. Throws `sandbox_gone` and the like, and `server_exited` while a server that crashes again and again has to wait.
   * `sessionId`: of the one session that it is for, where there is one.
   */
  async take(row: DeploymentRow, signal: AbortSignal, sessionId?: string): Promise<Channel> {
    const channel = await this.takeUnwatched(row, signal);
    if (sessionId !== undefined) this.processLogs.get(channel)?.serve(sessionHandleOf(sessionId));
    return new WatchedChannel(channel, {
      worked: () => this.crashes.noteWork(row.id, Date.now()),
      crashed: (why) => {
        // The one process of an HTTP server is watched where it is kept.
        if (isHttpType(row.transport)) return;
        const code = why.cause === 'violated' ? 'server_invalid' : 'server_exited';
        const { message } = why;
        this.crashes.note(row.id, { code, message, told: withoutLastWords(message) }, Date.now());
      },
    });
  }

  private async takeUnwatched(row: DeploymentRow, signal: AbortSignal): Promise<Channel> {
    if (isHttpType(row.transport)) return this.httpServers.open(row, signal, false);
    const spares = this.spares.get(row.id);
    for (let spare = spares?.shift(); spare; spare = spares?.shift()) {
      const channel = await spare;
      if (channel && !channel.whyClosed) return channel;
    }
    const waitMs = this.crashes.requireSoon(row.id, Date.now());
    if (waitMs > 0) await sleep(waitMs, undefined, { signal });
    return this.spawn(row, signal);
  }

  /** As `take`, but never with a spare, and for ourselves. */
  async spawn(row: DeploymentRow, signal: AbortSignal): Promise<Channel> {
    if (isHttpType(row.transport)) return this.httpServers.open(row, signal, true);
    const spec = row.args === null ? { env: row.env } : { args: row.args, env: row.env };
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(SPAWN_MS)]);
    const spawned = await this.runtime.spawn(row.id, spec, deadline);
    const log = this.logs.openProcess(row.id);
    const process = new LoggedProcess(spawned, log, false);
    const channel = new StdioChannel(process, this.config.maxMessageBytes, (line) => log.stdoutLine(line));
    this.processLogs.set(channel, log);
    return channel;
  }

  /** Start the spares that are missing, or the HTTP server. Returns at once; a spare that cannot be started is no spare. */
  fill(row: DeploymentRow): void {
    if (isHttpType(row.transport)) {
      this.httpServers.warm(row);
      return;
    }
    const spares = this.spares.get(row.id) ?? [];
    this.spares.set(row.id, spares);
    while (spares.length < row.warmProcesses) spares.push(this.spawnSpare(row));
  }

  /** End the spares of a deployment, and its HTTP server. */
  async drain(deploymentId: string): Promise<void> {
    const spares = this.spares.get(deploymentId) ?? [];
    this.spares.delete(deploymentId);
    const ending = spares.map(async (spare) => (await spare)?.close());
    await Promise.all([...ending, this.httpServers.stop(deploymentId)]);
  }

  async drainAll(): Promise<void> {
    await Promise.all([...[...this.spares.keys()].map((id) => this.drain(id)), this.httpServers.stopAll()]);
  }

  private async spawnSpare(row: DeploymentRow): Promise<Channel | undefined> {
    try {
      return await this.spawn(row, new AbortController().signal);
    } catch (error) {
      // Whoever opens a session next starts a process of its own and sees the reason.
      this.logger.debug({ event: 'spare_failed', deploymentId: row.id, error: String(error) });
      return undefined;
    }
  }
}

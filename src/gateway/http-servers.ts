import { Injectable, Logger } from '@nestjs/common';
import { Config } from '../config/config.js';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { CrashLoops } from '../deployments/crash-loops.js';
import { DeploymentEvents } from '../deployments/deployment-events.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { AppError } from '../errors/app-error.js';
import { LogStore } from '../logs/log-store.js';
import type { Channel } from '../mcp/channels/channel.js';
import type { HttpEndpoint } from '../mcp/channels/http-endpoint.js';
import { SseChannel } from '../mcp/channels/sse-channel.js';
import { StreamableHttpChannel } from '../mcp/channels/streamable-http-channel.js';
import { MessageMemory } from '../mcp/edges/http/message-memory.js';
import { HttpServer } from './http-server.js';

/** The servers of all deployments whose server speaks HTTP: one process each, for all clients. */
@Injectable()
export class HttpServers {
  private readonly logger = new Logger(HttpServers.name);
  private readonly servers = new Map<string, HttpServer>();
  private readonly memory = new MessageMemory();

  constructor(
    private readonly config: Config,
    private readonly runtime: SandboxRuntime,
    private readonly crashes: CrashLoops,
    private readonly events: DeploymentEvents,
    private readonly logs: LogStore,
  ) {}

  /**
   * Where the server listens, once it does; it is started if it does not run. Throws `server_exited`, `start_timeout`,
   * `sandbox_gone` and the like.
   */
  async ready(row: DeploymentRow, signal: AbortSignal): Promise<HttpEndpoint> {
    const server = this.servers.get(row.id) ?? this.create(row);
    this.servers.set(row.id, server);
    try {
      return await server.ready(signal);
    } catch (error) {
      if (error instanceof AppError && error.code === 'sandbox_gone' && this.servers.get(row.id) === server) {
        this.servers.delete(row.id);
      }
      throw error;
    }
  }

  /**
   * A conversation with the server, in the handshake era or, over Streamable HTTP, in both. Throws like `ready`. `isOwn`: it
   * is ours, to learn something of the server.
   */
  async open(row: DeploymentRow, signal: AbortSignal, isOwn: boolean): Promise<Channel> {
    const endpoint = await this.ready(row, signal);
    // Before anything can go wrong with it. What we learn behind a client is told to the next one.
    if (!isOwn || this.servers.get(row.id)?.hasClients === true) this.noteClient(row.id);
    const { maxMessageBytes } = this.config;
    if (row.transport !== 'sse') return new StreamableHttpChannel(endpoint, maxMessageBytes);
    const deadline = AbortSignal.timeout(row.startTimeoutSeconds * 1000);
    return SseChannel.connect(endpoint, maxMessageBytes, AbortSignal.any([signal, deadline]));
  }

  /** A client begins a conversation with the server, or makes a request that stands for itself. */
  noteClient(deploymentId: string): void {
    this.servers.get(deploymentId)?.noteClient();
  }

  /** Whether it is there, and accepts connections. */
  isServing(deploymentId: string): boolean {
    return this.servers.get(deploymentId)?.isServing ?? false;
  }

  /** Start it ahead of the first request. Returns at once; whoever needs a server that cannot start sees the reason. */
  warm(row: DeploymentRow): void {
    this.ready(row, AbortSignal.timeout(row.startTimeoutSeconds * 1000)).catch((error: unknown) => {
      this.logger.debug({ event: 'server_failed', deploymentId: row.id, error: String(error) });
    });
  }

  /** End the server of a deployment. Resolves when nothing of it is left; never rejects. */
  async stop(deploymentId: string): Promise<void> {
    const server = this.servers.get(deploymentId);
    this.servers.delete(deploymentId);
    await server?.stop();
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.servers.keys()].map((id) => this.stop(id)));
  }

  private create(row: DeploymentRow): HttpServer {
    const { runtime, memory, crashes, logs } = this;
    return new HttpServer(runtime, memory, crashes, logs, row, () => this.events.serving(row.id));
  }
}

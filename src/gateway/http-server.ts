import { setTimeout as sleep } from 'node:timers/promises';
import type { SandboxRuntime } from '../containers/sandbox-runtime.js';
import type { CrashLoops } from '../deployments/crash-loops.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { AppError } from '../errors/app-error.js';
import type { LogStore } from '../logs/log-store.js';
import { withoutLastWords } from '../mcp/channels/last-words.js';
import { EdgeError } from '../mcp/edges/http/http-reply.js';
import type { MessageMemory } from '../mcp/edges/http/message-memory.js';
import { unlessAborted } from '../waiting/unless-aborted.js';
import { HttpServerProcess } from './http-server-process.js';

/** A server that lived so long is not one that cannot start. */
const LONG_LIFE_MS = 10_000;

/**
 * Keeps the one server process of a deployment whose server speaks HTTP. When it exits, the next request starts it again,
 * the later the more often that happened: see `CrashLoops`.
 */
export class HttpServer {
  private current: HttpServerProcess | undefined;
  private starting: Promise<HttpServerProcess> | undefined;
  private readonly stopped = new AbortController();

  /** @param onServing called each time a process accepts connections */
  constructor(
    private readonly runtime: SandboxRuntime,
    private readonly memory: MessageMemory,
    private readonly crashes: CrashLoops,
    private readonly logs: LogStore,
    private readonly row: DeploymentRow,
    private readonly onServing: () => void,
  ) {}

  get isServing(): boolean {
    return this.current !== undefined && this.starting === undefined && !this.current.gone.aborted;
  }

  /**
   * The server, once it accepts connections; many at once start it once. Throws `server_exited` with its last words and
   * the time to wait, `start_timeout`, `sandbox_gone`; `start_timeout` also when the signal comes first.
   */
  async ready(signal: AbortSignal): Promise<HttpServerProcess> {
    const { current } = this;
    if (current && this.isServing) return current;
    if (this.starting === undefined) {
      const starting = this.start().finally(() => {
        this.starting = undefined;
      });
      // Whoever waits is told; whoever has stopped waiting need not be.
      starting.then(() => this.stopped.signal.aborted || this.onServing()).catch(() => undefined);
      this.starting = starting;
    }
    return this.startedUnlessAborted(this.starting, signal);
  }

  get hasClients(): boolean {
    return this.current?.hasClients ?? false;
  }

  /** As of `HttpServerProcess`. */
  noteClient(): void {
    this.current?.noteClient();
  }

  /** End it for good. Resolves when nothing of it is left; never rejects. */
  async stop(): Promise<void> {
    this.stopped.abort();
    await this.starting?.catch(() => undefined);
    await this.current?.stop();
  }

  private async start(): Promise<HttpServerProcess> {
    const wait = this.crashes.requireSoon(this.row.id, Date.now());
    const signal = AbortSignal.any([
      this.stopped.signal,
      AbortSignal.timeout(wait + this.row.startTimeoutSeconds * 1000),
    ]);
    try {
      if (wait > 0) await sleep(wait, undefined, { signal });
      // Its children may hold the port.
      await this.current?.stop();
      const server = await HttpServerProcess.start(this.runtime, this.memory, this.logs, this.row, signal);
      this.current = server;
      const startedAt = Date.now();
      server.gone.addEventListener('abort', () => this.noteEnd(server, startedAt));
      await this.untilListening(server, signal);
      return server;
    } catch (error) {
      if (error instanceof AppError || !signal.aborted) throw error;
      throw new AppError(this.stopped.signal.aborted ? 'sandbox_gone' : 'start_timeout', { cause: error });
    }
  }

  private async untilListening(server: HttpServerProcess, signal: AbortSignal): Promise<void> {
    try {
      await server.untilListening(signal);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  private noteEnd(server: HttpServerProcess, startedAt: number): void {
    const now = Date.now();
    if (server.exitCode === undefined) return;
    if (now - startedAt >= LONG_LIFE_MS) this.crashes.noteWork(this.row.id, now);
    const message = server.exitError().detail ?? '';
    this.crashes.note(this.row.id, { code: 'server_exited', message, told: withoutLastWords(message) }, now);
  }

  /** The server, or why its client does not get it. */
  private async startedUnlessAborted(
    starting: Promise<HttpServerProcess>,
    signal: AbortSignal,
  ): Promise<HttpServerProcess> {
    try {
      return await unlessAborted(starting, signal);
    } catch (error) {
      const isLate = signal.aborted && error === signal.reason && !(error instanceof EdgeError);
      throw isLate ? (this.current?.silenceError() ?? new AppError('start_timeout')) : error;
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { SandboxRuntime } from '../containers/sandbox-runtime.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { AppError } from '../errors/app-error.js';
import type { MessageMemory } from '../mcp/edges/http/message-memory.js';
import { HttpServerProcess } from './http-server-process.js';

const FIRST_BACK_OFF_MS = 500;
const LONGEST_BACK_OFF_MS = 30_000;
/** A server that lived so long is not one that cannot start. */
const LONG_LIFE_MS = 60_000;
/** What a request waits for a new start; for more it is told when to come again. */
const PATIENCE_MS = 1000;

/**
 * Keeps the one server process of a deployment whose server speaks HTTP. When it exits, the next request starts it again,
 * the later the more often that happened.
 */
export class HttpServer {
  private current: HttpServerProcess | undefined;
  private starting: Promise<HttpServerProcess> | undefined;
  private readonly stopped = new AbortController();
  private failures = 0;
  private notBefore = 0;
  private lastEnd = '';

  constructor(
    private readonly runtime: SandboxRuntime,
    private readonly memory: MessageMemory,
    private readonly row: DeploymentRow,
  ) {}

  /**
   * The server, once it accepts connections; many at once start it once. Throws `server_exited` with its last words and
   * the time to wait, `start_timeout`, `sandbox_gone`; `start_timeout` also when the signal comes first.
   */
  async ready(signal: AbortSignal): Promise<HttpServerProcess> {
    const { current } = this;
    if (current && this.starting === undefined && !current.gone.aborted) return current;
    if (this.starting === undefined) {
      const starting = this.start().finally(() => {
        this.starting = undefined;
      });
      // Whoever waits is told; whoever has stopped waiting need not be.
      starting.catch(() => undefined);
      this.starting = starting;
    }
    return this.unlessAborted(this.starting, signal);
  }

  /** End it for good. Resolves when nothing of it is left; never rejects. */
  async stop(): Promise<void> {
    this.stopped.abort();
    await this.starting?.catch(() => undefined);
    await this.current?.stop();
  }

  private async start(): Promise<HttpServerProcess> {
    const wait = this.notBefore - Date.now();
    if (wait > PATIENCE_MS) {
      throw new AppError('server_exited', {
        detail: `It is started again in ${Math.ceil(wait / 1000)} s, after ${this.failures} failures. ${this.lastEnd}`,
        retryAfterSeconds: Math.ceil(wait / 1000),
      });
    }
    const signal = AbortSignal.any([
      this.stopped.signal,
      AbortSignal.timeout(Math.max(wait, 0) + this.row.startTimeoutSeconds * 1000),
    ]);
    try {
      if (wait > 0) await sleep(wait, undefined, { signal });
      // Its children may hold the port.
      await this.current?.stop();
      const server = await HttpServerProcess.start(this.runtime, this.memory, this.row, signal);
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
      this.lastEnd = (error as Error).message;
      throw error;
    }
  }

  private noteEnd(server: HttpServerProcess, startedAt: number): void {
    const now = Date.now();
    if (now - startedAt >= LONG_LIFE_MS) this.failures = 0;
    this.notBefore = now + Math.min(FIRST_BACK_OFF_MS * 2 ** this.failures, LONGEST_BACK_OFF_MS);
    this.failures++;
    this.lastEnd = server.exitError().detail ?? '';
  }

  private async unlessAborted(
    starting: Promise<HttpServerProcess>,
    signal: AbortSignal,
  ): Promise<HttpServerProcess> {
    const waited = new AbortController();
    const aborted = new Promise<never>((_resolve, reject) => {
      const give = (): void => reject(this.current?.silenceError() ?? new AppError('start_timeout'));
      signal.addEventListener('abort', give, { once: true, signal: waited.signal });
      if (signal.aborted) give();
    });
    try {
      return await Promise.race([starting, aborted]);
    } finally {
      waited.abort();
    }
  }
}

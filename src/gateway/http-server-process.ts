import { setMaxListeners } from 'node:events';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SandboxRuntime } from '../containers/sandbox-runtime.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { parseEndpoint } from '../deployments/endpoint.js';
import { AppError } from '../errors/app-error.js';
import { type HttpEndpoint, ServerStopped } from '../mcp/channels/http-endpoint.js';
import { withLastWords } from '../mcp/channels/last-words.js';
import { LogTail } from '../mcp/channels/log-tail.js';
import type { LogStore } from '../logs/log-store.js';
import type { MemoryLease, MessageMemory } from '../mcp/edges/http/message-memory.js';
import { LoggedProcess } from './logged-process.js';

const CONNECT_MS = 1000;
const FIRST_POLL_MS = 20;
const LONGEST_POLL_MS = 250;
/** All clients of a deployment together. */
const MAX_SOCKETS = 2048;
const MAX_FREE_SOCKETS = 32;
/** Shorter than servers keep idle connections, or a request might meet the end of its connection. */
const FREE_SOCKET_MS = 1500;
/** For what the server answered before it exited. */
const LAST_ANSWERS_MS = 500;

/** One life of a server that speaks HTTP: its process, its log, and the connections to it. */
export class HttpServerProcess implements HttpEndpoint {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly agent = new Agent({
    keepAlive: true,
    maxSockets: MAX_SOCKETS,
    maxFreeSockets: MAX_FREE_SOCKETS,
    timeout: FREE_SOCKET_MS,
  });
  /** Undefined: it runs, or it was stopped from outside. */
  exitCode: number | undefined;
  private readonly log = new LogTail();
  private clients = 0;
  private readonly end = new AbortController();

  private constructor(
    readonly address: string,
    private readonly row: DeploymentRow,
    private readonly process: LoggedProcess,
    private readonly memory: MessageMemory,
  ) {
    ({ host: this.host, port: this.port, path: this.path } = parseEndpoint(row.endpoint ?? ''));
    // Each conversation waits for it.
    setMaxListeners(0, this.end.signal);
    // Read always, so that the server never waits for its log to be read. Its stdin stays open: some exit with it.
    process.attach({
      stdout: (chunk) => this.log.push(chunk),
      stderr: (chunk) => this.log.push(chunk),
      drain: () => undefined,
      exit: ({ code }) => {
        this.exitCode = code;
        // Nobody knows how it ended where its sandbox, or the engine, went with it.
        if (code === undefined) this.finish(new ServerStopped('The server is gone'));
        else this.finish(new Error(`The server exited with code ${code}`));
      },
    });
  }

  /** Start it in a running sandbox. Throws `sandbox_gone` and what else the runtime throws. */
  static async start(
    runtime: SandboxRuntime,
    memory: MessageMemory,
    logs: LogStore,
    row: DeploymentRow,
    signal: AbortSignal,
  ): Promise<HttpServerProcess> {
    const sandbox = await runtime.find(row.id, signal);
    if (!sandbox) throw new AppError('sandbox_gone');
    const spec = row.args === null ? { env: row.env } : { args: row.args, env: row.env };
    const process = await runtime.spawn(row.id, spec, signal);
    const logged = new LoggedProcess(process, logs.openProcess(row.id), true);
    return new HttpServerProcess(sandbox.address, row, logged, memory);
  }

  get gone(): AbortSignal {
    return this.end.signal;
  }

  /** Its log does not say whom it is about. Where it has served one client only, that client may know. */
  get lastWords(): string {
    return this.clients > 1 ? '' : this.log.toString();
  }

  get hasClients(): boolean {
    return this.clients > 0;
  }

  /** A client begins a conversation, or makes a request that stands for itself. */
  noteClient(): void {
    this.clients++;
  }

  answerMemory(): MemoryLease {
    return this.memory.lease(this.row.id);
  }

  /** Resolves when it accepts connections. Throws `server_exited`, or `start_timeout` when the signal comes first. */
  async untilListening(signal: AbortSignal): Promise<void> {
    for (let wait = FIRST_POLL_MS; !(await this.accepts()); wait = Math.min(wait * 2, LONGEST_POLL_MS)) {
      if (this.gone.aborted) throw this.exitError();
      if (signal.aborted) throw this.silenceError();
      await sleep(wait);
    }
    if (this.gone.aborted) throw this.exitError();
  }

  /** How it ended, with its last words: for its owner, or for those who waited for its start. */
  exitError(): AppError {
    const { message } = this.gone.reason as Error;
    return new AppError('server_exited', { detail: this.withLastWords(message) });
  }

  silenceError(): AppError {
    const detail =
      `The server runs, but nothing accepts connections at port ${this.port} of its sandbox. It must listen there on ` +
      '0.0.0.0 (all interfaces), not only on 127.0.0.1';
    return new AppError('start_timeout', { detail: this.withLastWords(detail) });
  }

  /** End it and all connections to it. Idempotent; resolves when nothing of it is left; never rejects. */
  async stop(): Promise<void> {
    this.finish(new ServerStopped('The server was stopped'));
    this.agent.destroy();
    await this.process.end();
  }

  private accepts(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ host: this.address, port: this.port, timeout: CONNECT_MS });
      const settle = (accepted: boolean): void => {
        socket.destroy();
        resolve(accepted);
      };
      socket.once('connect', () => settle(true));
      socket.once('error', () => settle(false)).once('timeout', () => settle(false));
    });
  }

  private finish(why: Error): void {
    if (this.gone.aborted) return;
    this.end.abort(why);
    setTimeout(() => this.agent.destroy(), LAST_ANSWERS_MS).unref();
  }

  private withLastWords(message: string): string {
    const words = this.log.toString();
    return words === '' ? `${message}.` : withLastWords(message, words);
  }
}

import { Agent } from 'node:http';
import Dockerode from 'dockerode';
import { AppError } from '../../errors/app-error.js';

const CALL_MS = 20_000;
/** Of a change: many sandboxes starting at once share few cores. */
const CHANGE_MS = 120_000;
const AWAY = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EACCES', 'EPIPE', 'ENOTSOCK', 'EAGAIN']);

type Verb<T> = (docker: Dockerode, signal: AbortSignal) => Promise<T>;

/** The Docker engine behind its socket. Nothing asked of it waits for ever; an engine that is away is `runtime_unavailable`. */
export class Engine {
  private readonly docker: Dockerode;

  constructor(socketPath: string) {
    // The empty host keeps a DOCKER_HOST in the environment from taking the place of the configured socket. A connection
    // per call: on a local socket it costs nothing, and none is found dead after a restart of the engine.
    const options = { socketPath, host: '', protocol: 'http', agent: new Agent() } as const;
    this.docker = new Dockerode(options);
  }

  /** Ask something. Ends early when `signal` is aborted. */
  async ask<T>(signal: AbortSignal, verb: Verb<T>, deadlineMs = CALL_MS): Promise<T> {
    signal.throwIfAborted();
    const control = new AbortController();
    const abort = (): void => control.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const timer = setTimeout(() => control.abort(lateAfter(deadlineMs)), deadlineMs);
    const aborted = new Promise<never>((_resolve, reject) => {
      control.signal.addEventListener('abort', () => reject(control.signal.reason as Error), { once: true });
    });
    try {
      return await Promise.race([verb(this.docker, control.signal), aborted]);
    } catch (error) {
      throw control.signal.aborted ? control.signal.reason : explained(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  /**
   * Change something. An abort is obeyed before and after, not within: the engine would finish what we no longer wait
   * for, and the clean-up would have come too early to see it.
   */
  async change<T>(signal: AbortSignal, verb: Verb<T>): Promise<T> {
    signal.throwIfAborted();
    const result = await this.ask(new AbortController().signal, verb, CHANGE_MS);
    signal.throwIfAborted();
    return result;
  }

  /** Ask; undefined where the thing does not exist. */
  async find<T>(signal: AbortSignal, verb: Verb<T>, deadlineMs = CALL_MS): Promise<T | undefined> {
    try {
      return await this.ask(signal, verb, deadlineMs);
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  /** Take something away; fine when it is gone, has stopped, or another removal of it is under way. */
  async remove(verb: Verb<unknown>): Promise<void> {
    try {
      await this.ask(new AbortController().signal, verb, CHANGE_MS);
    } catch (error) {
      const isDone = statusOf(error) === 409 && /already in progress|is not running/.test(reasonOf(error));
      if (statusOf(error) !== 404 && !isDone) throw error;
    }
  }
}

/** HTTP status of the engine's refusal. */
export function statusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** The engine's own words. */
export function reasonOf(error: unknown): string {
  const body = (error as { json?: { message?: unknown } } | undefined)?.json;
  if (typeof body?.message === 'string') return body.message;
  return error instanceof Error ? error.message.trim() : String(error);
}

function lateAfter(ms: number): AppError {
  return new AppError('runtime_unavailable', {
    detail: `The container engine did not answer within ${ms / 1000} s.`,
  });
}

function explained(error: unknown): unknown {
  const code = (error as { code?: unknown } | undefined)?.code;
  const away = (typeof code === 'string' && AWAY.has(code)) || /socket hang up/.test(reasonOf(error));
  if (!away || statusOf(error) !== undefined) return error;
  return new AppError('runtime_unavailable', {
    detail: 'The container engine cannot be reached on its socket. Is it running?',
    cause: error,
  });
}

import { Agent } from 'node:http';
import Dockerode from 'dockerode';
import type { AppError } from '../../errors/app-error.js';
import type { EngineCall } from '../sandbox-runtime.js';
import { CallLane } from './call-lane.js';
import { diskFull, isDiskFull } from './disk-full.js';
import { tellCalls } from './engine-calls.js';
import { EngineCircuit, engineAway } from './engine-circuit.js';

const CALL_MS = 20_000;
/** Of a change: many sandboxes starting at once share few cores. */
const CHANGE_MS = 120_000;
/** A call without an answer for so long is reason to look whether the engine is there at all. */
const SUSPICIOUS_MS = 3_000;
/** Each is a connection of its own. */
const CALLS_AT_ONCE = 256;
const CALLS_WAITING = 4096;
const AWAY = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EACCES', 'EPIPE', 'ENOTSOCK', 'EAGAIN']);

/** The typings know no options of it. */
interface Pingable {
  ping(options: { abortSignal: AbortSignal }): Promise<unknown>;
}

type Verb<T> = (docker: Dockerode, signal: AbortSignal) => Promise<T>;

/**
 * The Docker engine behind its socket. Nothing asked of it waits for ever; an engine that is away is `runtime_unavailable`,
 * and while it is known to be, calls fail at once. Those that are under way then keep their deadlines: the engine may be
 * about to answer.
 */
export class Engine {
  private readonly docker: Dockerode;
  private readonly circuit: EngineCircuit;
  private readonly lane = new CallLane(CALLS_AT_ONCE, CALLS_WAITING, () =>
    engineAway('Too many calls wait for the container engine.'),
  );

  /** `onReturn` is called when the engine answers again after it did not; `onCall` after each call. */
  constructor(
    socketPath: string,
    onReturn: () => void,
    onCall: (call: EngineCall) => void = () => undefined,
  ) {
    // The empty host keeps a DOCKER_HOST in the environment from taking the place of the configured socket. A connection
    // per call: on a local socket it costs nothing, and none is found dead after a restart of the engine.
    const options = { socketPath, host: '', protocol: 'http', agent: new Agent() } as const;
    this.docker = new Dockerode(options);
    tellCalls(this.docker, onCall);
    this.circuit = new EngineCircuit((signal) => this.ping(signal), {
      opened: (refusal) => this.lane.refuseAll(refusal),
      closed: onReturn,
    });
  }

  /** Ask something. Ends early when `signal` is aborted. What is waited for here counts against the bound of calls. */
  async ask<T>(signal: AbortSignal, verb: Verb<T>, deadlineMs = CALL_MS): Promise<T> {
    signal.throwIfAborted();
    const control = new AbortController();
    const abort = (): void => control.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const timer = setTimeout(() => control.abort(lateAfter(deadlineMs)), deadlineMs);
    try {
      return await this.call(verb, control.signal);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  private async call<T>(verb: Verb<T>, signal: AbortSignal): Promise<T> {
    const { refusal } = this.circuit;
    if (refusal !== undefined) throw refusal;
    const leave = await this.lane.enter(signal);
    const slow = setTimeout(() => this.circuit.suspect(), SUSPICIOUS_MS);
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    try {
      signal.throwIfAborted();
      return await Promise.race([verb(this.docker, signal), aborted]);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (statusOf(error) !== undefined && isDiskFull(reasonOf(error)))
        throw diskFull(reasonOf(error), error);
      if (!isAway(error)) throw error;
      this.circuit.suspect();
      throw unreachable(error);
    } finally {
      clearTimeout(slow);
      leave();
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

  /** As far as is known. */
  get isAway(): boolean {
    return this.circuit.refusal !== undefined;
  }

  /** Before a look that is to tell the truth of now, not of the last probe. */
  async refresh(): Promise<void> {
    await this.circuit.look();
  }

  async close(): Promise<void> {
    await this.circuit.stop();
  }

  /** Any answer will do. */
  private async ping(signal: AbortSignal): Promise<void> {
    try {
      await (this.docker as Pingable).ping({ abortSignal: signal });
    } catch (error) {
      if (isAway(error)) throw unreachable(error);
      signal.throwIfAborted();
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
  return engineAway(`The container engine did not answer within ${ms / 1000} s.`);
}

function isAway(error: unknown): boolean {
  if (statusOf(error) !== undefined) return false;
  const code = (error as { code?: unknown } | undefined)?.code;
  return (typeof code === 'string' && AWAY.has(code)) || /socket hang up/.test(reasonOf(error));
}

function unreachable(cause: unknown): AppError {
  return engineAway('The container engine cannot be reached on its socket. Is it running?', cause);
}

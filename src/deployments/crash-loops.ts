import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import type { ErrorCode } from '../errors/error-codes.js';
import { DeploymentEvents } from './deployment-events.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import { DeploymentsRepository } from './deployments.repository.js';

const FIRST_BACK_OFF_MS = 500;
const LONGEST_BACK_OFF_MS = 30_000;
/** In a row, without anything done in between: it will not get better by itself. */
const MOST_CRASHES = 5;
/** What a request waits for a new start; for more it is told when to come again. */
const PATIENCE_MS = 1000;

/** A server process that ended by itself, or a sandbox that did. */
export interface Crash {
  code: Extract<ErrorCode, 'server_exited' | 'server_invalid' | 'out_of_memory' | 'sandbox_gone'>;
  /** For its owner, with the server's last words. */
  message: string;
  /** For any client, where the last words may be about another one. */
  told?: string;
}

interface Loop {
  crashes: number;
  notBefore: number;
  last: string;
  /** Aborted when the count ends. */
  end: AbortController;
}

/**
 * Deployments whose server ends by itself again and again: each time it is started later, which the row says, and in the
 * end the deployment has failed. Whatever the server does for a client ends the count.
 */
@Injectable()
export class CrashLoops {
  private readonly logger = new Logger(CrashLoops.name);
  private readonly loops = new Map<string, Loop>();

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly lifecycle: DeploymentLifecycle,
    events: DeploymentEvents,
  ) {
    events.onStatus(({ deploymentId, to }) => {
      if (to === 'deleted' || to === 'failed') this.forget(deploymentId);
    });
  }

  /**
   * It ended by itself. Many processes that end together end once; those that end with their sandbox do not count. Never
   * throws: whoever waits for the server is told of its end behind this.
   */
  note(id: string, crash: Crash, now: number): void {
    this.orLog(() => this.count(id, crash, now));
  }

  /** It did what it is for. Never throws. */
  noteWork(id: string, now: number): void {
    if (!this.forget(id)) return;
    const reason = { code: 'ready', message: 'The MCP server answers again.' } as const;
    this.orLog(() => this.repository.annotate(id, 'running', reason, now));
  }

  /** Somebody has looked after it. False: there was no count. */
  forget(id: string): boolean {
    this.loops.get(id)?.end.abort();
    return this.loops.delete(id);
  }

  /** Resolves when it may be started again. Rejects with the signal's reason when that is aborted before. */
  async untilOver(id: string, signal: AbortSignal): Promise<void> {
    const loop = this.loops.get(id);
    const waitMs = this.waitMs(id, Date.now());
    if (!loop || waitMs === 0) return;
    await sleep(waitMs, undefined, { signal: AbortSignal.any([signal, loop.end.signal]) }).catch(
      () => undefined,
    );
    signal.throwIfAborted();
  }

  /** Milliseconds until it may be started again. */
  waitMs(id: string, now: number): number {
    return Math.max((this.loops.get(id)?.notBefore ?? 0) - now, 0);
  }

  /** As `waitMs`, for a request; throws `server_exited` where that is too long to wait. */
  requireSoon(id: string, now: number): number {
    const waitMs = this.waitMs(id, now);
    const loop = this.loops.get(id);
    if (!loop || waitMs <= PATIENCE_MS) return waitMs;
    const seconds = Math.ceil(waitMs / 1000);
    throw new AppError('server_exited', {
      detail: `It is started again in ${seconds} s, after ${loop.crashes} crashes in a row. ${loop.last}`,
      retryAfterSeconds: seconds,
    });
  }

  private count(id: string, { code, message, told = message }: Crash, now: number): void {
    const status = this.repository.find(id)?.status;
    if (status !== 'running' && status !== 'starting') return;
    const before = this.loops.get(id);
    if (before && now < before.notBefore) return;
    const crashes = (before?.crashes ?? 0) + 1;
    const waitMs = Math.min(FIRST_BACK_OFF_MS * 2 ** (crashes - 1), LONGEST_BACK_OFF_MS);
    const end = before?.end ?? new AbortController();
    this.loops.set(id, { crashes, notBefore: now + waitMs, last: told, end });
    this.lifecycle.noteCrash(id, { code, message, crashes, waitMs }, now);
    // That a sandbox is stopped from outside says nothing about the server.
    if (crashes < MOST_CRASHES || code === 'sandbox_gone') return;
    const reason = { code, message: `It ended by itself ${crashes} times in a row. ${message}` };
    this.lifecycle.move(id, 'failed', reason, now, { from: ['running', 'starting'] });
  }

  private orLog(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.logger.error(error);
    }
  }
}

import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import type { Status } from './deployment.js';
import { DeploymentEvents } from './deployment-events.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentsRepository } from './deployments.repository.js';

const RETRY_AFTER_SECONDS = 2;
const SETTLED: ReadonlySet<Status> = new Set<Status>(['running', 'failed', 'paused']);

/** Waiting for what the reconciler does. Every wait ends: by a change, its timeout, its signal or the shutdown. */
@Injectable()
export class DeploymentWaits implements BeforeApplicationShutdown {
  private readonly waiting = new Set<(error: AppError) => void>();
  private isClosing = false;

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly events: DeploymentEvents,
  ) {}

  /**
   * The row, once it is `running`, `failed` or `paused`. Throws `deployment_not_ready` with the present reason after the timeout,
   * `deployment_not_found` when it is, or is being, deleted.
   */
  untilSettled(id: string, timeoutMs: number, signal?: AbortSignal): Promise<DeploymentRow> {
    const read = (): DeploymentRow | undefined => {
      const row = this.repository.find(id);
      if (row === undefined || row.status === 'deleting') throw new AppError('deployment_not_found');
      return SETTLED.has(row.status) ? row : undefined;
    };
    return this.until(id, read, () => this.notReady(id), timeoutMs, signal);
  }

  /** Resolves when its status is another than at this revision. Throws like `untilSettled`. */
  async untilMoved(id: string, revision: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const read = (): true | undefined => (this.repository.find(id)?.revision === revision ? undefined : true);
    await this.until(id, read, () => this.notReady(id), timeoutMs, signal);
  }

  /** Resolves once nothing is left of it. Throws `deployment_deleting` with the present reason after the timeout. */
  async untilGone(id: string, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const read = (): true | undefined => (this.repository.find(id) === undefined ? true : undefined);
    const late = (): AppError =>
      new AppError('deployment_deleting', {
        detail: `Its removal goes on. ${this.repository.find(id)?.reasonMessage ?? ''}`.trim(),
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    await this.until(id, read, late, timeoutMs, signal);
  }

  beforeApplicationShutdown(): void {
    this.isClosing = true;
    for (const fail of this.waiting) fail(new AppError('shutting_down'));
  }

  private notReady(id: string): AppError {
    return new AppError('deployment_not_ready', {
      detail: this.repository.find(id)?.reasonMessage ?? 'It is being deleted.',
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }

  private until<T>(
    id: string,
    read: () => T | undefined,
    late: () => AppError,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const fail = (error: unknown): void => {
        release();
        reject(error);
      };
      const look = (): void => {
        try {
          const found = read();
          if (found === undefined) return;
          release();
          resolve(found);
        } catch (error) {
          fail(error);
        }
      };
      const onAbort = (): void => fail(signal?.reason);
      const onTimeout = (): void => fail(late());
      const timer = setTimeout(onTimeout, timeoutMs);
      const unsubscribe = this.events.onStatus((change) => {
        if (change.deploymentId === id) look();
      });
      const release = (): void => {
        clearTimeout(timer);
        unsubscribe();
        this.waiting.delete(fail);
        signal?.removeEventListener('abort', onAbort);
      };
      this.waiting.add(fail);
      if (signal?.aborted === true) onAbort();
      else {
        signal?.addEventListener('abort', onAbort);
        look();
        // Nobody would end it any more.
        if (this.isClosing) fail(new AppError('shutting_down'));
      }
    });
  }
}

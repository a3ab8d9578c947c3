import { Injectable } from '@nestjs/common';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { DeploymentWaits } from '../deployments/deployment-waits.js';
import { DeploymentsRepository } from '../deployments/deployments.repository.js';
import { DeploymentsService } from '../deployments/deployments.service.js';
import { Reconciler } from '../deployments/reconciler.js';
import { AppError } from '../errors/app-error.js';
import { withoutLastWords } from '../mcp/channels/last-words.js';

const FAILED_RETRY_SECONDS = 30;
/** Sandboxes that turn out to be gone while one request waits; more are a matter for the next. */
const MOST_LOSSES = 3;

/** Deployments that run, for those who cannot do without: what is paused is woken, what is starting is waited for. */
@Injectable()
export class Readiness {
  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly deployments: DeploymentsService,
    private readonly waits: DeploymentWaits,
    private readonly reconciler: Reconciler,
  ) {}

  /**
   * Do something with a deployment that runs; once more where its sandbox turns out to be gone, which brings it back.
   * Waits for as long as the deployment may take to start. Throws `deployment_not_ready`, `deployment_failed`,
   * `deployment_not_found`, and what `work` throws.
   */
  async whileRunning<T>(
    id: string,
    signal: AbortSignal,
    work: (row: DeploymentRow) => Promise<T>,
  ): Promise<T> {
    const until = Date.now() + this.get(id).startTimeoutSeconds * 1000;
    for (let losses = 0; ; losses++) {
      const row = await this.running(id, until, signal);
      try {
        return await work(row);
      } catch (error) {
        const isGone = error instanceof AppError && error.code === 'sandbox_gone';
        if (!isGone || losses === MOST_LOSSES) throw error;
        this.reconciler.request(id);
        await this.waits.untilMoved(id, row.revision, until - Date.now(), signal);
      }
    }
  }

  private async running(id: string, until: number, signal: AbortSignal): Promise<DeploymentRow> {
    for (;;) {
      const row = this.get(id);
      if (row.status === 'running') return row;
      if (row.status === 'failed') throw failed(row);
      if (row.status === 'paused' || row.status === 'pausing') this.deployments.wake(id);
      await this.waits.untilMoved(id, this.get(id).revision, until - Date.now(), signal);
    }
  }

  private get(id: string): DeploymentRow {
    const row = this.repository.find(id);
    if (!row || row.status === 'deleting') throw new AppError('deployment_not_found');
    return row;
  }
}

export function failed({ imageId, reasonMessage }: DeploymentRow): AppError {
  // What a server said that has served clients may be about any of them.
  const hasServed = imageId !== null;
  return new AppError('deployment_failed', {
    detail: hasServed ? withoutLastWords(reasonMessage) : reasonMessage,
    retryAfterSeconds: FAILED_RETRY_SECONDS,
  });
}

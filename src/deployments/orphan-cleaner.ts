import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { DeploymentsRepository } from './deployments.repository.js';

const RETRY_MS = 10_000;

/** Removes what the engine has of ours without a row: the database was restored from a copy, or made anew. */
@Injectable()
export class OrphanCleaner {
  private readonly logger = new Logger(OrphanCleaner.name);
  /** Never rejects. */
  finished: Promise<void> = Promise.resolve();

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly runtime: SandboxRuntime,
  ) {}

  /** In the background, until it is done or `signal` is aborted. */
  clean(signal: AbortSignal): void {
    this.finished = this.cleanUntilDone(signal);
  }

  private async cleanUntilDone(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        return await this.cleanOnce(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.logger.warn({ event: 'orphan_cleanup_failed', error: String(error) });
        await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private async cleanOnce(signal: AbortSignal): Promise<void> {
    for (const id of await this.runtime.list(signal)) {
      // A row is written before its sandbox is made, so whatever has none now had none when the list was taken.
      if (this.repository.find(id) !== undefined) continue;
      this.logger.warn({ event: 'orphan_removed', deploymentId: id });
      // Without its row nobody knows its account and subnet any more.
      const user = { name: 'mcp-unknown', uid: -1, gid: -1 };
      await this.runtime.remove({ deploymentId: id, user, subnet: '' }, signal);
    }
  }
}

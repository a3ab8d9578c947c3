import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { LogStore } from '../logs/log-store.js';
import { sandboxSpecOf } from './deployment.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentsRepository } from './deployments.repository.js';
import { orphansIn, removeOrphan } from './orphans.js';
import { Slots } from './slots.js';
import { within } from '../waiting/within.js';

const RETRY_MS = 10_000;
const REMOVALS_AT_ONCE = 4;
const SLOT_HOLD_MS = 30_000;
/** One that cannot be removed does not hold back all the others. */
const FIRST_TRY_MS = 30_000;

/** Removes what the engine, or our disk, has of ours and no row speaks of: the database was restored from a copy, or made anew. */
@Injectable()
export class OrphanCleaner {
  private readonly logger = new Logger(OrphanCleaner.name);
  private readonly removals = new Slots(REMOVALS_AT_ONCE, SLOT_HOLD_MS);
  /**
   * Settles when the first try has ended, well or not, or has taken 30 s. An orphan may have the uid and the subnet of a
   * row that came back with a backup, so nothing is started before. Never rejects.
   */
  firstTry: Promise<void> = Promise.resolve();
  /** Never rejects. */
  finished: Promise<void> = Promise.resolve();

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly runtime: SandboxRuntime,
    private readonly logs: LogStore,
  ) {}

  /** In the background, until it is done or `signal` is aborted. */
  clean(signal: AbortSignal): void {
    const first = this.isClean(signal);
    this.firstTry = within(FIRST_TRY_MS, first);
    this.finished = this.cleanUntilDone(first, signal);
  }

  private async cleanUntilDone(first: Promise<boolean>, signal: AbortSignal): Promise<void> {
    for (let isClean = await first; !isClean && !signal.aborted; isClean = await this.isClean(signal))
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }

  /** One try. Never rejects. */
  private async isClean(signal: AbortSignal): Promise<boolean> {
    try {
      await this.cleanOnce(signal);
      return true;
    } catch (error) {
      if (!signal.aborted) this.logger.warn({ event: 'orphan_cleanup_failed', error: String(error) });
      return false;
    }
  }

  private async cleanOnce(signal: AbortSignal): Promise<void> {
    const traces = await this.runtime.list(signal);
    const inEngine = traces.filter((trace) => trace.inEngine).map(({ deploymentId }) => deploymentId);
    const orphans = orphansIn(traces, (id) => this.repository.find(id) !== undefined);
    const removed = await Promise.allSettled([
      ...inEngine.filter((id) => this.findPaused(id)).map((id) => this.stop(id, signal)),
      ...orphans.map((id) => this.remove(id, signal)),
    ]);
    const failed = removed.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    for (const id of await this.logs.list()) if (!this.repository.find(id)) await this.logs.remove(id);
  }

  private findPaused(id: string): DeploymentRow | undefined {
    const row = this.repository.find(id);
    return row?.status === 'paused' ? row : undefined;
  }

  private stop(id: string, signal: AbortSignal): Promise<void> {
    return this.removals.run(async () => {
      // It may have been woken while this waited.
      const row = this.findPaused(id);
      if (row) await this.runtime.stop(sandboxSpecOf(row), signal);
    }, signal);
  }

  private remove(id: string, signal: AbortSignal): Promise<void> {
    this.logger.warn({ event: 'orphan_removed', deploymentId: id });
    return this.removals.run(() => removeOrphan(this.runtime, id, signal), signal);
  }
}

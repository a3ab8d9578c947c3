import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { AppError } from '../errors/app-error.js';
import { sandboxSpecOf } from './deployment.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import { DeploymentStarter, explainLoss } from './deployment-starter.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentsRepository } from './deployments.repository.js';
import { OrphanCleaner } from './orphan-cleaner.js';
import { Slots } from './slots.js';

const STARTS_AT_ONCE = 6;
const REMOVALS_AT_ONCE = 6;
const CHECKS_AT_ONCE = 8;
/** Longer than a start takes on a busy machine, or all of them would run at once just there. */
const SLOT_HOLD_MS = 30_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const CHECK_INTERVAL_MS = 30_000;

/** The one piece of work on one deployment. */
class Run {
  /** Something changed meanwhile: look again when the present step is over. */
  again = false;
  failures = 0;
  /** Of the present step. */
  work = new AbortController();
  /** Of the pause after a failed step. */
  rest = new AbortController();
  done: Promise<void> = Promise.resolve();
}

/**
 * Makes the engine match the rows. Single flight per deployment: whoever wants something writes it to the row and calls
 * `request`; the run of that deployment reads the row and does the next step until there is none. Steps are idempotent,
 * so a crash between any two of them costs nothing but the repetition.
 */
@Injectable()
export class Reconciler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Reconciler.name);
  private readonly runs = new Map<string, Run>();
  private readonly starts = new Slots(STARTS_AT_ONCE, SLOT_HOLD_MS);
  private readonly removals = new Slots(REMOVALS_AT_ONCE, SLOT_HOLD_MS);
  private readonly checks = new Slots(CHECKS_AT_ONCE, SLOT_HOLD_MS);
  private readonly boot = new AbortController();
  private checkTimer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly lifecycle: DeploymentLifecycle,
    private readonly starter: DeploymentStarter,
    private readonly orphans: OrphanCleaner,
    private readonly runtime: SandboxRuntime,
  ) {}

  /** The row, or what it describes, may have changed. Returns at once. */
  request(id: string): void {
    if (this.stopped) return;
    const current = this.runs.get(id);
    if (current === undefined) {
      const run = new Run();
      this.runs.set(id, run);
      run.done = this.drive(id, run);
      return;
    }
    current.again = true;
    current.rest.abort();
    // A start that nobody wants any more is not worth finishing.
    if (this.repository.find(id)?.status === 'deleting') current.work.abort();
  }

  /** Prepares the host, then takes over every deployment of the last run. Throws where sandboxes would be unsafe. */
  async onApplicationBootstrap(): Promise<void> {
    const outside = this.repository.countOutsidePool();
    if (outside > 0) {
      throw new Error(
        `SANDBOX_SUBNET_POOL does not contain the networks of ${outside} deployments, and the firewall protects only the pool. ` +
          'Set it back, or delete these deployments first.',
      );
    }
    await this.runtime.prepare(this.boot.signal);
    for (const row of this.repository.listUnfinished()) {
      // Not running again until its stray processes are gone: nobody may talk to a sandbox that is being swept.
      if (row.status === 'running') this.takeOver(row);
      this.request(row.id);
    }
    this.orphans.clean(this.boot.signal);
    this.checkTimer = setInterval(() => this.checkRunning(), CHECK_INTERVAL_MS).unref();
  }

  /** Sandboxes stay as they are; the next start of the service takes them over. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearInterval(this.checkTimer);
    this.boot.abort();
    const open = [...this.runs.values()];
    for (const run of open) {
      run.work.abort();
      run.rest.abort();
    }
    await Promise.all([...open.map(({ done }) => done), this.orphans.finished]);
  }

  private takeOver(row: DeploymentRow): void {
    const reason = {
      code: 'adopting',
      message: 'The service was restarted and takes the sandbox over.',
    } as const;
    this.lifecycle.move(row.id, 'starting', reason, Date.now());
  }

  private checkRunning(): void {
    try {
      for (const id of this.repository.listIdsByStatus('running')) this.request(id);
    } catch (error) {
      this.logger.error(error);
    }
  }

  /** Never rejects. */
  private async drive(id: string, run: Run): Promise<void> {
    try {
      do {
        run.again = false;
        run.work = new AbortController();
        try {
          await this.step(id, run);
          run.failures = 0;
        } catch (error) {
          if (run.work.signal.aborted) continue;
          this.complain(id, error);
          await this.rest(run);
          run.again = true;
        }
      } while (run.again && !this.stopped);
    } catch (error) {
      this.logger.error(error);
    } finally {
      this.runs.delete(id);
    }
  }

  private async step(id: string, run: Run): Promise<void> {
    const row = this.repository.find(id);
    const { signal } = run.work;
    switch (row?.status) {
      case 'pending':
      case 'starting':
        return this.starts.run(() => this.starter.bringUp(row, signal), signal);
      case 'running':
        return this.checks.run(() => this.checkSandbox(row, run), signal);
      case 'failed':
        if (!row.hasRemains) return;
        await this.removeAll(row, signal);
        return this.repository.clearRemains(id);
      case 'deleting':
        await this.removeAll(row, signal);
        return this.lifecycle.finish(id);
      case undefined:
    }
  }

  private removeAll(row: DeploymentRow, signal: AbortSignal): Promise<void> {
    if (!row.hasRemains) return Promise.resolve();
    return this.removals.run(() => this.runtime.remove(sandboxSpecOf(row), signal), signal);
  }

  /** A running row whose sandbox is gone is started again. An engine that cannot tell is no verdict: it throws. */
  private async checkSandbox(row: DeploymentRow, run: Run): Promise<void> {
    const { signal } = run.work;
    const sandbox = await this.runtime.find(row.id, signal);
    if (sandbox?.containerId === row.containerId) return;
    const reason = explainLoss(await this.runtime.explainStop(row.id, signal));
    const lost = { containerId: null, networkName: null };
    if (this.lifecycle.move(row.id, 'starting', reason, Date.now(), lost) !== undefined) run.again = true;
  }

  private complain(id: string, error: unknown): void {
    this.logger.warn({ event: 'reconcile_failed', deploymentId: id, error: String(error) });
    const row = this.repository.find(id);
    // The words of a running deployment stay: that the engine does not answer is said by /health.
    if (row === undefined || row.status === 'running' || row.status === 'failed') return;
    const known = error instanceof AppError ? error : new AppError('internal_error');
    const reason = { code: known.code, message: `${known.detail ?? known.title} Trying again.` };
    this.repository.annotate(id, row.status, reason, Date.now());
  }

  private async rest(run: Run): Promise<void> {
    const ms = Math.min(FIRST_RETRY_MS * 2 ** run.failures, LONGEST_RETRY_MS);
    run.failures += 1;
    run.rest = new AbortController();
    // Ended early by the next request or by the shutdown; both are looked at right after.
    if (!this.stopped) await sleep(ms, undefined, { signal: run.rest.signal }).catch(() => undefined);
  }
}

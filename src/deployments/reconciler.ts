import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { type Sandbox, SandboxRuntime } from '../containers/sandbox-runtime.js';
import { AppError } from '../errors/app-error.js';
import { LogStore } from '../logs/log-store.js';
import { Capacity } from './capacity.js';
import { CrashLoops } from './crash-loops.js';
import { reasonOf, sandboxSpecOf } from './deployment.js';
import { DeploymentEvents } from './deployment-events.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import { DeploymentStarter, explainLoss, NO_SANDBOX } from './deployment-starter.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentsRepository } from './deployments.repository.js';
import { OrphanCleaner } from './orphan-cleaner.js';
import { Run } from './reconciler-run.js';
import { Slots } from './slots.js';

const STARTS_AT_ONCE = 6;
const REMOVALS_AT_ONCE = 6;
const CHECKS_AT_ONCE = 8;
/** Longer than a start takes on a busy machine, or all of them would run at once just there. */
const SLOT_HOLD_MS = 30_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const CHECK_INTERVAL_MS = 30_000;

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
    private readonly events: DeploymentEvents,
    private readonly capacity: Capacity,
    private readonly crashes: CrashLoops,
    private readonly logs: LogStore,
  ) {
    // Whoever wants something moves the row; that is enough.
    events.onStatus(({ deploymentId, to }) => {
      if (to !== 'deleted' && to !== 'running') this.request(deploymentId);
    });
    capacity.onRoom((id) => this.request(id));
    runtime.onDeath((id) => this.request(id));
    // Whatever rests after a failure may go on, and what ran may have died meanwhile.
    runtime.onReturn(() => this.requestAll());
  }

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
    // A start that nobody wants any more is not worth finishing. A stop is: it is short, and starting begins with it.
    const status = this.repository.find(id)?.status;
    const isUnwanted =
      status === 'deleting' ? current.doing !== 'remove' : status === 'pausing' && current.doing === 'start';
    if (isUnwanted) current.work.abort();
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
    this.orphans.clean(this.boot.signal);
    const unfinished = this.repository.listUnfinished();
    // All of them before the first that has no room yet asks for some.
    for (const row of unfinished) if (row.containerId !== null) this.capacity.hold(row);
    for (const row of unfinished) {
      // Not running again until its stray processes are gone: nobody may talk to a sandbox that is being swept.
      if (row.status === 'running') this.takeOver(row);
      this.request(row.id);
    }
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

  private requestAll(): void {
    this.checkRunning([...this.runs.keys()]);
  }

  /** Never throws: whoever calls it has to go on. */
  private checkRunning(others: string[] = []): void {
    try {
      for (const id of [...others, ...this.repository.listIdsByStatus('running')]) this.request(id);
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
    run.doing = 'other';
    if (row?.status !== 'pausing') run.pausedBecause = undefined;
    switch (row?.status) {
      case 'pending':
      case 'starting':
        return this.start(row, run);
      case 'running':
        return this.checks.run(() => this.checkSandbox(row, run), signal);
      case 'pausing':
        return this.pause(row, run);
      case 'paused':
        return this.capacity.release(id);
      case 'failed':
        await this.clearFailed(row, signal);
        return this.capacity.release(id);
      case 'deleting':
        run.doing = 'remove';
        await this.removeAll(row, signal);
        await this.logs.remove(id);
        this.lifecycle.finish(id);
        return this.capacity.release(id);
      case undefined:
    }
  }

  private async start(row: DeploymentRow, run: Run): Promise<void> {
    const noRoom = this.capacity.admit(row, Date.now());
    // It is asked again as soon as there is some.
    if (noRoom) return this.repository.annotate(row.id, row.status, noRoom, Date.now());
    run.doing = 'start';
    const { signal } = run.work;
    await this.crashes.untilOver(row.id, signal);
    await this.starts.run(() => this.starter.bringUp(row, this.orphans.firstTry, signal), signal);
  }

  private async pause(row: DeploymentRow, run: Run): Promise<void> {
    run.pausedBecause ??= reasonOf(row);
    await this.stop(row, run.work.signal);
    const { code, message } = run.pausedBecause;
    const reason = { code, message: `${message} It wakes with the next request.` };
    this.lifecycle.move(row.id, 'paused', reason, Date.now(), { facts: NO_SANDBOX });
    this.capacity.release(row.id);
  }

  /** Takes the sandbox away; what it has stored stays. */
  private async stop(row: DeploymentRow, signal: AbortSignal): Promise<void> {
    if (!row.hasRemains) return;
    await this.events.stopping(row.id);
    await this.removals.run(() => this.runtime.stop(sandboxSpecOf(row), signal), signal);
  }

  private async clearFailed(row: DeploymentRow, signal: AbortSignal): Promise<void> {
    if (row.imageId !== null) {
      if (row.containerId === null) return;
      await this.stop(row, signal);
      return this.repository.annotate(row.id, 'failed', reasonOf(row), row.reasonAt, NO_SANDBOX);
    }
    if (!row.hasRemains) return;
    await this.removeAll(row, signal);
    this.repository.clearRemains(row.id);
  }

  private removeAll(row: DeploymentRow, signal: AbortSignal): Promise<void> {
    if (!row.hasRemains) return Promise.resolve();
    return this.removals.run(() => this.runtime.remove(sandboxSpecOf(row), signal), signal);
  }

  /** A running row whose sandbox is gone is started again. An engine that cannot tell is no verdict: it throws. */
  private async checkSandbox(row: DeploymentRow, run: Run): Promise<void> {
    const { signal } = run.work;
    const sandbox = await this.runtime.find(row.id, signal);
    if (sandbox?.containerId === row.containerId) return this.confirm(row, sandbox, signal);
    const reason = explainLoss(await this.runtime.explainStop(row.id, signal));
    this.crashes.note(row.id, reason, Date.now());
    const change = { facts: NO_SANDBOX, from: ['running'] } as const;
    if (this.lifecycle.move(row.id, 'starting', reason, Date.now(), change) !== undefined) run.again = true;
  }

  /** It runs as it should, but for limits that were changed since. */
  private async confirm(row: DeploymentRow, { limits }: Sandbox, signal: AbortSignal): Promise<void> {
    if (row.reasonCode === 'runtime_unavailable') this.say(row, 'The container engine answers again.');
    const { maxMemoryMb: memoryMb, maxCpus: cpus, maxPids: pids } = row;
    if (memoryMb === limits.memoryMb && cpus === limits.cpus && pids === limits.pids) return;
    try {
      await this.runtime.resize(row.id, { memoryMb, cpus, pids }, signal);
      this.say(row, 'The new limits hold.');
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'resize_refused') throw error;
      this.say(row, `Limits were changed. ${error.detail ?? ''}`.trim());
    }
  }

  /** The time of the reason is that of the change, not of its repetition. */
  private say(row: DeploymentRow, message: string): void {
    if (row.reasonMessage === message) return;
    this.repository.annotate(row.id, 'running', { code: 'ready', message }, Date.now());
  }

  /** Never throws: what cannot be written to the row must not end the work on it. */
  private complain(id: string, error: unknown): void {
    this.logger.warn({ event: 'reconcile_failed', deploymentId: id, error: String(error) });
    try {
      this.writeDown(id, error);
    } catch (failure) {
      this.logger.error(failure);
    }
  }

  private writeDown(id: string, error: unknown): void {
    const row = this.repository.find(id);
    if (row === undefined || row.status === 'failed') return;
    const known = error instanceof AppError ? error : new AppError('internal_error');
    // What runs goes on while nobody can look after it, and the reason says which it is.
    if (row.status === 'running' && known.code !== 'runtime_unavailable') return;
    if (row.reasonCode === known.code && row.status === 'running') return;
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

import { Injectable, Logger } from '@nestjs/common';
import { type Sandbox, SandboxRuntime } from '../containers/sandbox-runtime.js';
import { AppError } from '../errors/app-error.js';
import { unlessAborted } from '../waiting/unless-aborted.js';
import { type ReasonCode, type StatusReason, sandboxSpecOf } from './deployment.js';
import type { Crash } from './crash-loops.js';
import { DeploymentEvents } from './deployment-events.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentsRepository, type SandboxFacts } from './deployments.repository.js';
import { ServerProbe } from './server-probe.js';
import { StartDeadline } from './start-deadline.js';
import { StartWatch } from './start-watch.js';

/** Many starts at once share few cores; the server's own time counts once its sandbox runs. */
const ENGINE_SILENCE_SECONDS = 180;

/** Nothing in the engine. */
export const NO_SANDBOX = { containerId: null, networkName: null } as const satisfies SandboxFacts;

/** Reasons to start what has proved already that its server speaks MCP. */
const PROVEN = new Set<ReasonCode>(['waking', 'sandbox_gone', 'out_of_memory']);

/** Takes a deployment that is `pending` or `starting` to `running`, or to `failed` with nothing left behind. */
@Injectable()
export class DeploymentStarter {
  private readonly logger = new Logger('Deployments');

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly lifecycle: DeploymentLifecycle,
    private readonly runtime: SandboxRuntime,
    private readonly serverProbe: ServerProbe,
    private readonly events: DeploymentEvents,
    private readonly watch: StartWatch,
  ) {}

  /**
   * Returns without a change of status when `signal` is aborted or the status was changed by another. Throws only what is
   * worth another try: the engine cannot be asked, or its disk is full.
   *
   * @param room settles when its uid and its subnet should be free; a sandbox that runs has them
   */
  async bringUp(row: DeploymentRow, room: Promise<void>, signal: AbortSignal): Promise<void> {
    if (row.containerId !== null && (await this.adopt(row, signal))) return;
    await unlessAborted(room, signal);
    const why = await this.reasonToStart(row, signal);
    // An earlier run's account is still there.
    const facts = { ...NO_SANDBOX, hasAccount: row.hasAccount, hasRemains: true };
    if (row.status === 'starting') this.repository.annotate(row.id, 'starting', why, Date.now(), facts);
    else if (this.lifecycle.move(row.id, 'starting', why, Date.now(), { facts }) === undefined) return;
    try {
      // Of a sandbox that is replaced.
      if (row.hasRemains) await this.events.stopping(row.id);
      const sandbox = await this.startAndProbe(row, why, signal);
      const facts = factsOf(sandbox);
      const ready = readyBecause(why);
      // Not where another has changed its mind meanwhile, and stops what runs.
      this.lifecycle.move(row.id, 'running', ready, Date.now(), { facts });
    } catch (error) {
      if (signal.aborted) return;
      // It is not its fault: it comes up together with the engine.
      if (isOfTheHost(error, row)) throw error;
      await this.fail(row, error, signal);
    }
  }

  /** True: the sandbox of an earlier control plane runs on, free of the processes that nobody talks to any more. */
  private async adopt(row: DeploymentRow, signal: AbortSignal): Promise<boolean> {
    const sandbox = await this.runtime.find(row.id, signal);
    if (sandbox === undefined || sandbox.containerId !== row.containerId) return false;
    await this.runtime.killStrays(row.id, signal);
    const reason = { code: 'ready', message: 'Taken over after a restart of the service.' } as const;
    const change = { facts: factsOf(sandbox), isSameRun: true };
    this.lifecycle.move(row.id, 'running', reason, Date.now(), change);
    return true;
  }

  private async reasonToStart(row: DeploymentRow, signal: AbortSignal): Promise<StatusReason> {
    if (row.containerId !== null) return explainLoss(await this.runtime.explainStop(row.id, signal));
    if (PROVEN.has(row.reasonCode)) return { code: row.reasonCode, message: row.reasonMessage };
    return { code: 'in_progress', message: 'Preparing the sandbox.' };
  }

  private async startAndProbe(row: DeploymentRow, why: StatusReason, signal: AbortSignal): Promise<Sandbox> {
    const deadline = new StartDeadline(signal);
    const progress = (doing: string, seconds = ENGINE_SILENCE_SECONDS): void => {
      if (!deadline.progress(doing, seconds)) return;
      const message = isLoss(why) ? `${why.message} ${doing}` : doing;
      this.repository.annotate(row.id, 'starting', { code: why.code, message }, Date.now());
    };
    try {
      progress('Preparing the sandbox.');
      const sandbox = await this.runtime.start(
        sandboxSpecOf(row),
        (doing) => progress(doing),
        deadline.signal,
      );
      this.watch.sandboxRuns(row.id);
      // A client waits, and the server has answered before: it is not made to boot twice.
      if (PROVEN.has(why.code) && row.imageId === sandbox.imageId) return sandbox;
      progress('Waiting for the MCP server to answer.', row.startTimeoutSeconds);
      await this.serverProbe.probe({ ...row, imageId: sandbox.imageId }, deadline.signal);
      deadline.signal.throwIfAborted();
      return sandbox;
    } catch (error) {
      // What the adapter or the probe makes of an abort says less than the deadline, unless it has the server's stderr.
      const late: unknown = deadline.signal.reason;
      throw late instanceof AppError && !(error instanceof AppError) ? late : error;
    } finally {
      deadline.release();
    }
  }

  private async fail(row: DeploymentRow, error: unknown, signal: AbortSignal): Promise<void> {
    const hasRun = row.imageId !== null;
    let hasRemains = hasRun;
    try {
      // What it has stored while it ran is kept until it is deleted.
      if (hasRun) await this.runtime.stop(sandboxSpecOf(row), signal);
      else await this.runtime.remove(sandboxSpecOf(row), signal);
    } catch (removal) {
      // It has not failed as long as it may run.
      if (hasRun) throw removal;
      // The row remembers it, and the reconciler tries again.
      hasRemains = true;
      this.logger.warn({ event: 'cleanup_failed', deploymentId: row.id, error: String(removal) });
    }
    const known = error instanceof AppError ? error : new AppError('sandbox_start_failed', { cause: error });
    if (signal.aborted) return;
    if (known !== error) this.logger.error(error);
    const reason = { code: known.code, message: known.detail ?? `${known.title}.` };
    const facts = { ...NO_SANDBOX, hasAccount: hasRun && row.hasAccount, hasRemains };
    this.lifecycle.move(row.id, 'failed', reason, Date.now(), { facts });
  }
}

/** Why a sandbox that ran is started again. */
export function explainLoss(stop: Awaited<ReturnType<SandboxRuntime['explainStop']>>): Crash {
  return stop === 'out_of_memory'
    ? { code: 'out_of_memory', message: 'The sandbox ran out of memory and is started again.' }
    : { code: 'sandbox_gone', message: 'The sandbox stopped and is started again.' };
}

/** The disk is to blame where the deployment had room before. */
function isOfTheHost(error: unknown, { imageId }: DeploymentRow): boolean {
  if (!(error instanceof AppError)) return false;
  return error.code === 'runtime_unavailable' || (error.code === 'disk_full' && imageId !== null);
}

function isLoss({ code }: StatusReason): boolean {
  return code === 'sandbox_gone' || code === 'out_of_memory';
}

function readyBecause(why: StatusReason): StatusReason {
  const message = 'The MCP server answers.';
  return {
    code: 'ready',
    message: isLoss(why) ? `${message} Before: ${why.message}` : message,
  };
}

function factsOf(sandbox: Sandbox): SandboxFacts {
  return {
    containerId: sandbox.containerId,
    runtime: sandbox.runtime,
    networkName: sandbox.networkName,
    imageId: sandbox.imageId,
    hasAccount: sandbox.account,
    hasRemains: true,
  };
}

import { Injectable, Logger } from '@nestjs/common';
import { type Sandbox, SandboxRuntime } from '../containers/sandbox-runtime.js';
import { AppError } from '../errors/app-error.js';
import { type StatusReason, sandboxSpecOf } from './deployment.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentsRepository, type SandboxFacts } from './deployments.repository.js';
import { ServerProbe } from './server-probe.js';
import { StartDeadline } from './start-deadline.js';

/** Many starts at once share few cores; the server's own time counts once its sandbox runs. */
const ENGINE_SILENCE_SECONDS = 180;

const NO_SANDBOX = {
  containerId: null,
  networkName: null,
  hasAccount: false,
} as const satisfies SandboxFacts;

/** Takes a deployment that is `pending` or `starting` to `running`, or to `failed` with nothing left behind. */
@Injectable()
export class DeploymentStarter {
  private readonly logger = new Logger('Deployments');

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly lifecycle: DeploymentLifecycle,
    private readonly runtime: SandboxRuntime,
    private readonly serverProbe: ServerProbe,
  ) {}

  /**
   * Returns without a change of status when `signal` is aborted or the status was changed by another. Throws only what is
   * worth another try: the engine cannot be asked about a deployment that ran before.
   */
  async bringUp(row: DeploymentRow, signal: AbortSignal): Promise<void> {
    if (row.containerId !== null && (await this.adopt(row, signal))) return;
    const why = await this.reasonToStart(row, signal);
    const facts = { ...NO_SANDBOX, hasRemains: true };
    if (row.status === 'starting') this.repository.annotate(row.id, 'starting', why, Date.now(), facts);
    else if (this.lifecycle.move(row.id, 'starting', why, Date.now(), facts) === undefined) return;
    try {
      const sandbox = await this.startAndProbe(row, why, signal);
      this.lifecycle.move(row.id, 'running', readyBecause(why), Date.now(), factsOf(sandbox));
    } catch (error) {
      if (signal.aborted) return;
      // It ran before, so it is not its fault: it comes back together with the engine.
      if (row.imageId !== null && isEngineAway(error)) throw error;
      await this.fail(row, error, signal);
    }
  }

  /** True: the sandbox of an earlier control plane runs on, free of the processes that nobody talks to any more. */
  private async adopt(row: DeploymentRow, signal: AbortSignal): Promise<boolean> {
    const sandbox = await this.runtime.find(row.id, signal);
    if (sandbox === undefined || sandbox.containerId !== row.containerId) return false;
    await this.runtime.killStrays(row.id, signal);
    const reason = { code: 'ready', message: 'Taken over after a restart of the service.' } as const;
    this.lifecycle.move(row.id, 'running', reason, Date.now(), factsOf(sandbox));
    return true;
  }

  private async reasonToStart(row: DeploymentRow, signal: AbortSignal): Promise<StatusReason> {
    if (row.containerId !== null) return explainLoss(await this.runtime.explainStop(row.id, signal));
    const known = row.reasonCode === 'sandbox_gone' || row.reasonCode === 'out_of_memory';
    if (known) return { code: row.reasonCode, message: row.reasonMessage };
    return { code: 'in_progress', message: 'Preparing the sandbox.' };
  }

  private async startAndProbe(row: DeploymentRow, why: StatusReason, signal: AbortSignal): Promise<Sandbox> {
    const deadline = new StartDeadline(signal);
    const progress = (doing: string, seconds = ENGINE_SILENCE_SECONDS): void => {
      if (!deadline.progress(doing, seconds)) return;
      const message = why.code === 'in_progress' ? doing : `${why.message} ${doing}`;
      this.repository.annotate(row.id, 'starting', { code: why.code, message }, Date.now());
    };
    try {
      progress('Preparing the sandbox.');
      const sandbox = await this.runtime.start(
        sandboxSpecOf(row),
        (doing) => progress(doing),
        deadline.signal,
      );
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
    let hasRemains = false;
    try {
      await this.runtime.remove(sandboxSpecOf(row), signal);
    } catch (removal) {
      // The row remembers it, and the reconciler tries again.
      hasRemains = true;
      this.logger.warn({ event: 'cleanup_failed', deploymentId: row.id, error: String(removal) });
    }
    if (signal.aborted) return;
    const known = error instanceof AppError ? error : new AppError('sandbox_start_failed', { cause: error });
    if (known !== error) this.logger.error(error);
    const reason = { code: known.code, message: known.detail ?? `${known.title}.` };
    this.lifecycle.move(row.id, 'failed', reason, Date.now(), { ...NO_SANDBOX, hasRemains });
  }
}

/** Why a sandbox that ran is started again. */
export function explainLoss(stop: Awaited<ReturnType<SandboxRuntime['explainStop']>>): StatusReason {
  return stop === 'out_of_memory'
    ? { code: 'out_of_memory', message: 'The sandbox ran out of memory and is started again.' }
    : { code: 'sandbox_gone', message: 'The sandbox stopped and is started again.' };
}

function isEngineAway(error: unknown): boolean {
  return error instanceof AppError && error.code === 'runtime_unavailable';
}

function readyBecause(why: StatusReason): StatusReason {
  const message = 'The MCP server answers.';
  return {
    code: 'ready',
    message: why.code === 'in_progress' ? message : `${message} Before: ${why.message}`,
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

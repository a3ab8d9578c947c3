import { Injectable, Logger } from '@nestjs/common';
import { SandboxRuntime, type SandboxUsage } from '../containers/sandbox-runtime.js';
import { AppError } from '../errors/app-error.js';
import { Activity } from './activity.js';
import type { AwakeDto, MissingDto, StatsDto } from './deployment-stats.dto.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentsService } from './deployments.service.js';
import { SessionCensus } from './session-census.js';
import { WakeTimes } from './wake-times.js';

const MB = 1024 * 1024;
/** The answer is there by then, with what is known. */
const PATIENCE_MS = 3_000;

/** What a deployment uses, and what it is used for. */
@Injectable()
export class DeploymentStats {
  private readonly logger = new Logger(DeploymentStats.name);

  constructor(
    private readonly deployments: DeploymentsService,
    private readonly runtime: SandboxRuntime,
    private readonly activity: Activity,
    private readonly census: SessionCensus,
    private readonly wakes: WakeTimes,
  ) {}

  /** Answers in every status, within a few seconds. Throws `deployment_not_found`. */
  async of(tenantId: string, id: string): Promise<StatsDto> {
    const missing: MissingDto[] = [];
    const [usage, diskBytes] = await Promise.all([
      this.orMissing('sandbox', missing, this.usageOf(this.deployments.get(tenantId, id))),
      this.orMissing('disk', missing, this.runtime.diskUsage(id)),
    ]);
    // As it is now: it may have been deleted meanwhile.
    const row = this.deployments.get(tenantId, id);
    const now = Date.now();
    const { sessions, callsInFlight } = this.census.of(id);
    return {
      at: iso(now),
      status: row.status,
      memory: {
        usedBytes: usage?.memoryBytes ?? null,
        limitBytes: usage?.memoryLimitBytes ?? row.maxMemoryMb * MB,
      },
      cpu: {
        usedSeconds: usage?.cpuSeconds ?? null,
        percent: rounded(usage?.cpuPercent),
        windowMs: usage?.cpuWindowMs ?? null,
        limit: usage?.cpuLimit ?? row.maxCpus,
      },
      pids: { used: usage?.tasks ?? null, limit: usage?.taskLimit ?? null },
      network: {
        receivedBytes: usage?.network?.receivedBytes ?? null,
        sentBytes: usage?.network?.sentBytes ?? null,
      },
      disk: { usedBytes: diskBytes ?? null, limitBytes: row.maxDiskMb * MB },
      sessions: { active: sessions, limit: row.maxSessions },
      callsInFlight,
      lastActivityAt: iso(this.lastActivityOf(row, now)),
      lastWakeMs: this.wakes.lastMsOf(id) ?? null,
      awake: this.awakeOf(row, now),
      missing,
    };
  }

  /** Undefined: there is nothing that could use anything. */
  private async usageOf({ id, status }: DeploymentRow): Promise<SandboxUsage | undefined> {
    if (status === 'paused' || status === 'failed') return undefined;
    try {
      return await this.runtime.usage(id, AbortSignal.timeout(PATIENCE_MS));
    } catch (error) {
      if (error instanceof AppError && error.code === 'sandbox_gone') return undefined;
      throw error;
    }
  }

  private async orMissing<T>(
    what: MissingDto['what'],
    missing: MissingDto[],
    work: Promise<T>,
  ): Promise<T | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(lateError()), PATIENCE_MS);
    });
    try {
      return await Promise.race([work, late]);
    } catch (error) {
      const isLate = error instanceof Error && error.name === 'TimeoutError';
      const isKnown = error instanceof AppError;
      if (!isKnown && !isLate) this.logger.error(error);
      const known = isKnown ? error : isLate ? lateError() : new AppError('internal_error');
      missing.push({ what, code: known.code, message: known.detail ?? `${known.title}.` });
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  private lastActivityOf({ id, lastActivityAt }: DeploymentRow, now: number): number {
    return Math.max(lastActivityAt, this.activity.lastUsedAt(id, now) ?? 0);
  }

  private awakeOf(row: DeploymentRow, now: number): AwakeDto {
    const { id, status, pauseAfterSeconds, pauseAt } = row;
    if (status !== 'running') return awake(null, 'It does not run.');
    if (this.activity.isBusy(id)) return awake('call_in_flight', 'A call is in flight.');
    if (pauseAfterSeconds === null) return awake('never_pauses', 'It has no pauseAfterSeconds.');
    // The row is a few seconds behind.
    const until = Math.max(pauseAt ?? 0, this.lastActivityOf(row, now) + pauseAfterSeconds * 1000);
    if (until <= now) return awake('about_to_pause', 'Its idle time is over; it is paused in a moment.');
    return awake('recently_used', `It is paused unless a message passes before ${iso(until)}.`, until);
  }
}

function awake(because: AwakeDto['because'], message: string, until?: number): AwakeDto {
  return { because, message, until: until === undefined ? null : iso(until) };
}

function lateError(): AppError {
  return new AppError('runtime_unavailable', {
    detail: `There was no answer within ${PATIENCE_MS / 1000} s.`,
  });
}

function rounded(percent: number | null | undefined): number | null {
  return typeof percent === 'number' ? Math.round(percent * 10) / 10 : null;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

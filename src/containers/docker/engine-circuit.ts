import { AppError } from '../../errors/app-error.js';
import { unlessAborted } from '../../waiting/unless-aborted.js';

/** For one sign of life. */
const PROBE_MS = 2_500;
/** A late answer may be our own lateness: on a busy machine timers fire before what has arrived is read. */
const LATE_PROBES = 2;
const FIRST_REST_MS = 100;
const LONGEST_REST_MS = 5_000;
const RETRY_AFTER_SECONDS = Math.ceil((LONGEST_REST_MS + PROBE_MS) / 1000);

interface Outage {
  since: number;
  reason: string;
}

interface Listener {
  opened(refusal: AppError): void;
  closed(): void;
}

/** What all say who did not get an answer. */
export function engineAway(detail: string, cause?: unknown): AppError {
  return new AppError('runtime_unavailable', { detail, cause, retryAfterSeconds: RETRY_AFTER_SECONDS });
}

/**
 * Knows whether the engine is there, so that calls fail at once instead of piling up before a dead one. A call that fails
 * is only a suspicion, because a long change may miss its deadline on an engine that is well: a probe decides, and goes on
 * until there is an answer.
 */
export class EngineCircuit {
  private outage: Outage | undefined;
  private probing: Promise<void> | undefined;
  private readonly stopped = new AbortController();
  /** Of the probe that is under way. */
  private asking = new AbortController();
  /** Cuts the pause between two probes short. */
  private wake: (() => void) | undefined;
  private onlookers: (() => void)[] = [];

  /** `probe` rejects where the engine cannot be reached; any answer is one. */
  constructor(
    private readonly probe: (signal: AbortSignal) => Promise<unknown>,
    private readonly listener: Listener,
  ) {}

  /** Why no call is let through now; undefined: the engine is there, as far as is known. */
  get refusal(): AppError | undefined {
    if (this.outage === undefined) return undefined;
    return refusalOf(this.outage);
  }

  /** Something went wrong that an engine which is away could be the cause of. Returns at once. */
  suspect(): void {
    if (this.stopped.signal.aborted) return;
    this.probing ??= this.probeUntilAnswered();
  }

  /** For who wants the truth of now: during an outage, waits for the end of a probe. */
  async look(): Promise<void> {
    if (this.outage === undefined || this.probing === undefined) return;
    const seen = new Promise<void>((resolve) => this.onlookers.push(resolve));
    this.wake?.();
    await seen;
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    this.asking.abort();
    this.wake?.();
    await this.probing;
  }

  /** Never rejects. */
  private async probeUntilAnswered(): Promise<void> {
    const since = Date.now();
    let restMs = FIRST_REST_MS;
    for (let late = 0; !this.stopped.signal.aborted;) {
      const failure = await this.probeOnce();
      if (failure === undefined) break;
      if (failure.isLate) late += 1;
      if (this.outage === undefined && failure.isLate && late < LATE_PROBES) continue;
      this.open({ since, reason: failure.reason });
      await this.rest(restMs);
      restMs = Math.min(restMs * 2, LONGEST_REST_MS);
    }
    this.probing = undefined;
    this.close();
  }

  /** Undefined: the engine answered. */
  private async probeOnce(): Promise<{ reason: string; isLate: boolean } | undefined> {
    const control = new AbortController();
    this.asking = control;
    const timer = setTimeout(() => control.abort(), PROBE_MS).unref();
    try {
      await unlessAborted(this.probe(control.signal), control.signal);
      return undefined;
    } catch (error) {
      if (control.signal.aborted) return { reason: 'The container engine does not answer.', isLate: true };
      return { reason: error instanceof Error ? error.message : String(error), isLate: false };
    } finally {
      clearTimeout(timer);
    }
  }

  private open(outage: Outage): void {
    const isNew = this.outage === undefined;
    this.outage = outage;
    if (isNew) this.listener.opened(refusalOf(outage));
    this.tellOnlookers();
  }

  private close(): void {
    const wasOpen = this.outage !== undefined;
    this.outage = undefined;
    this.tellOnlookers();
    if (wasOpen && !this.stopped.signal.aborted) this.listener.closed();
  }

  private tellOnlookers(): void {
    for (const tell of this.onlookers.splice(0)) tell();
  }

  private async rest(ms: number): Promise<void> {
    if (this.stopped.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms).unref();
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = undefined;
  }
}

function refusalOf({ since, reason }: Outage): AppError {
  return engineAway(`${reason} There has been no answer since ${new Date(since).toISOString()}.`);
}

import { setTimeout as delay } from 'node:timers/promises';

/** Requests that overlap have nothing between them: after so long one is let in beside those that are in flight. */
const QUIET_MS = 5_000;

/** Lets the requests to one deployment in, and forces a pause before each that has none beside it. */
export class PauseGate {
  private turn: Promise<unknown> = Promise.resolve();
  private inFlight = 0;
  /** The states of calls that wait for what their clients have been asked. */
  private readonly parked = new Set<string>();
  private quiet: (() => void) | undefined;

  pauses = 0;

  /** @param pause resolves when the deployment is paused, or with false when it cannot be */
  constructor(private readonly pause: () => Promise<boolean>) {}

  /** Resolves when the request may go on, with what is to be called, once or more often, when it is answered. */
  async enter(): Promise<() => void> {
    const turn = this.turn.then(() => this.makeRoom());
    this.turn = turn.catch(() => undefined);
    await turn;
    return this.release();
  }

  /** A request that brings what a parked call waits for belongs to that call; undefined: there is none. */
  rejoin(state: string): (() => void) | undefined {
    if (!this.parked.delete(state)) return undefined;
    this.inFlight++;
    return this.release();
  }

  /** A call that is in flight until its client comes back with this. */
  park(state: string): void {
    this.parked.add(state);
  }

  private async makeRoom(): Promise<void> {
    if (!this.isQuiet) await this.untilQuiet();
    // Whoever has not come back by now does not mean to.
    this.parked.clear();
    if (this.inFlight === 0 && (await this.pause())) this.pauses++;
    this.inFlight++;
  }

  private get isQuiet(): boolean {
    return this.inFlight === 0 && this.parked.size === 0;
  }

  private async untilQuiet(): Promise<void> {
    const late = new AbortController();
    const quiet = new Promise<void>((resolve) => (this.quiet = resolve));
    try {
      await Promise.race([quiet, delay(QUIET_MS, undefined, { signal: late.signal })]);
    } finally {
      this.quiet = undefined;
      late.abort();
    }
  }

  private release(): () => void {
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.inFlight--;
      if (this.isQuiet) this.quiet?.();
    };
  }
}

import { AppError } from '../errors/app-error.js';

const LONGEST_START_MS = 15 * 60_000;

/**
 * The patience of a start: some seconds for each thing that is being done, and a quarter of an hour altogether. So an
 * image pull that moves, or a busy engine, may take longer than a server that says nothing.
 */
export class StartDeadline {
  private readonly controller = new AbortController();
  private readonly longest: NodeJS.Timeout;
  private silence: NodeJS.Timeout | undefined;
  private doing = '';

  /** `outer` aborts it as well. */
  constructor(private readonly outer: AbortSignal) {
    this.longest = setTimeout(() => this.expire(LONGEST_START_MS / 1000), LONGEST_START_MS);
    if (outer.aborted) this.onOuterAbort();
    outer.addEventListener('abort', this.onOuterAbort);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Something new is being done, which may take so long; true unless it is what was being done before. */
  progress(doing: string, seconds: number): boolean {
    if (doing === this.doing) return false;
    this.doing = doing;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.expire(seconds), seconds * 1000);
    return true;
  }

  release(): void {
    clearTimeout(this.silence);
    clearTimeout(this.longest);
    this.outer.removeEventListener('abort', this.onOuterAbort);
  }

  private readonly onOuterAbort = (): void => this.controller.abort(this.outer.reason);

  private expire(seconds: number): void {
    this.controller.abort(
      new AppError('start_timeout', { detail: `Not finished after ${seconds} s: ${this.doing}` }),
    );
  }
}

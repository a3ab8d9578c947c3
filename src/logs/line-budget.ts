/** Kilobytes of lines that a deployment may write a second over time; a line counts as one at least. */
export const LINES_PER_SECOND = 500;
/** What it may write at once. */
const BURST = 5000;

/** Keeps a server that floods its log from keeping the disk busy. */
export class LineBudget {
  private left = BURST;
  private at = 0;

  /** False: no more now. `bytes`: as they are kept. `now`: milliseconds. */
  take(bytes: number, now: number): boolean {
    // A clock that is set back refills nothing.
    const passed = Math.max(0, now - this.at);
    this.left = Math.min(BURST, this.left + (passed * LINES_PER_SECOND) / 1000);
    this.at = now;
    const cost = Math.max(1, bytes / 1024);
    if (this.left < cost) return false;
    this.left -= cost;
    return true;
  }
}

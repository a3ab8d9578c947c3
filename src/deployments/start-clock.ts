/** How long a start takes, and its two parts. */
export class StartClock {
  private readonly begun = performance.now();
  private sandboxMs: number | undefined;

  /** From here on it is the server that is waited for. */
  sandboxRuns(): void {
    this.sandboxMs = performance.now() - this.begun;
  }

  stop(): { durationMs: number; sandboxMs: number | undefined } {
    return { durationMs: performance.now() - this.begun, sandboxMs: this.sandboxMs };
  }
}

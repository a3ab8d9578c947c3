const MINUTE_MS = 60_000;
/** Kinds that are remembered; more of them in one minute count as one. */
const MOST_KINDS = 200;

/**
 * Keeps an error that repeats itself from becoming a flood: each kind once a minute, and no more than `perMinute`
 * altogether. What was held back is counted and told with the next one of its kind.
 */
export class ReportLimit {
  private readonly kinds = new Map<string, { at: number; heldBack: number }>();
  private minute = { at: -Infinity, sent: 0 };

  constructor(private readonly perMinute: number) {}

  /** Undefined: do not send it. Otherwise how many of its kind were held back since the last one. */
  admit(kind: string, now: number): number | undefined {
    if (now - this.minute.at >= MINUTE_MS) this.minute = { at: now, sent: 0 };
    const known = this.kinds.get(kind);
    if (this.minute.sent >= this.perMinute || (known !== undefined && now - known.at < MINUTE_MS)) {
      if (known !== undefined) known.heldBack += 1;
      else this.remember(kind, { at: -Infinity, heldBack: 1 });
      return undefined;
    }
    this.minute.sent += 1;
    this.remember(kind, { at: now, heldBack: 0 });
    return known?.heldBack ?? 0;
  }

  private remember(kind: string, entry: { at: number; heldBack: number }): void {
    this.kinds.delete(kind);
    this.kinds.set(kind, entry);
    const [oldest] = this.kinds.keys();
    if (this.kinds.size > MOST_KINDS && oldest !== undefined) this.kinds.delete(oldest);
  }
}

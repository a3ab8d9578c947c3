/** Characters that may wait for the clients of one server process, over all of them, before it is held back. */
const MAX_CHARS = 4 * 1024 * 1024;
/** How long a session may be behind while the process is held back for its sake. */
const HOLD_MS = 10_000;

/** A session whose client does not take what there is for it. */
export interface Laggard {
  /** End this session; its messages are forgotten. */
  giveUp(reason: string): void;
}

/**
 * What waits for the slow among the clients of one server process. As long as it is little, the others notice nothing of
 * them. When it is much, the process is not read until there is room again: memory is bounded by `MAX_CHARS`, one message
 * above it, and the one message that each session is taking. The session with the most to take is ended if it has been
 * behind for `HOLD_MS` then, so that it cannot hold up the others for longer, however steadily it trickles.
 */
export class Backlog {
  private readonly behind = new Map<Laggard, { chars: number; since: number }>();
  private chars = 0;
  private room: { promise: Promise<void>; release: () => void } | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly now: () => number) {}

  add(session: Laggard, chars: number): void {
    const entry = this.behind.get(session) ?? { chars: 0, since: this.now() };
    entry.chars += chars;
    this.chars += chars;
    this.behind.set(session, entry);
  }

  /** The session takes one. With the last one it is no longer behind. */
  remove(session: Laggard, chars: number): void {
    const entry = this.behind.get(session);
    if (!entry) return;
    entry.chars -= chars;
    this.chars -= chars;
    if (entry.chars === 0) this.behind.delete(session);
    this.releaseIfRoom();
  }

  /** The session is over. */
  forget(session: Laggard): void {
    this.remove(session, this.behind.get(session)?.chars ?? 0);
  }

  /** Undefined while there is room; otherwise settles when there is. */
  untilRoom(): Promise<void> | undefined {
    if (this.chars <= MAX_CHARS) return undefined;
    if (!this.room) {
      this.room = newRoom();
      this.watch();
    }
    return this.room.promise;
  }

  private watch(): void {
    const { session, since } = this.slowest();
    if (!session) return;
    this.timer = setTimeout(() => this.endSlowest(), Math.max(0, since + HOLD_MS - this.now()));
  }

  private endSlowest(): void {
    const { session, since } = this.slowest();
    if (session && this.now() - since >= HOLD_MS) {
      session.giveUp(
        `The client took its messages too slowly: the other sessions of the server process waited for ${HOLD_MS / 1000} s`,
      );
    }
    if (this.room) this.watch();
  }

  private slowest(): { session: Laggard | undefined; since: number } {
    let most = 0;
    let found: { session: Laggard | undefined; since: number } = { session: undefined, since: 0 };
    for (const [session, { chars, since }] of this.behind) {
      if (chars <= most) continue;
      most = chars;
      found = { session, since };
    }
    return found;
  }

  private releaseIfRoom(): void {
    if (this.chars > MAX_CHARS || !this.room) return;
    clearTimeout(this.timer);
    this.room.release();
    this.room = undefined;
  }
}

function newRoom(): { promise: Promise<void>; release: () => void } {
  let release!: () => void;
  const promise = new Promise<void>((resolve) => (release = resolve));
  return { promise, release };
}

const CAPACITY = 1000;
/** Where nobody can be who got an id from us. */
const NOWHERE = -1;

interface KeptEvent {
  deploymentId: string;
  /** As it goes over the wire. */
  text: string;
}

/**
 * The newest events of one tenant. They are counted from 1; a position is the number of the last event that somebody
 * has, and its id is what goes over the wire: the epoch tells our numbers from those of a service that ran before.
 */
export class EventRing {
  /** Number of the newest event. */
  newest = 0;
  private readonly kept: KeptEvent[] = [];
  private readonly watchers = new Set<() => void>();
  private isWaking = false;

  constructor(private readonly epoch: string) {}

  append(type: string, deploymentId: string, data: object): void {
    const text = eventText(type, this.idOf(this.newest + 1), data);
    this.newest += 1;
    this.kept[this.newest % CAPACITY] = { deploymentId, text };
    this.wake();
  }

  idOf(position: number): string {
    return `${this.epoch}-${position}`;
  }

  /** Where a client is whose last event had this id. */
  positionOf(id: string): number {
    const [, epoch, number] = /^(\w+)-(\d{1,15})$/.exec(id) ?? [];
    return epoch === this.epoch ? Number(number) : NOWHERE;
  }

  /** True when everything that came after `position` is still here. */
  reaches(position: number): boolean {
    return position <= this.newest && position >= Math.max(0, this.newest - CAPACITY);
  }

  /** The event that follows `position`, which the ring must reach. */
  after(position: number): KeptEvent | undefined {
    return position < this.newest ? this.kept[(position + 1) % CAPACITY] : undefined;
  }

  /** Calls `watcher`, which must not throw, soon after each event, once for several; until the returned function is called. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  get watched(): number {
    return this.watchers.size;
  }

  /** Later, so that appending takes the same time however many watch. */
  private wake(): void {
    if (this.isWaking || this.watchers.size === 0) return;
    this.isWaking = true;
    setImmediate(() => {
      this.isWaking = false;
      for (const watcher of this.watchers) watcher();
    });
  }
}

/** JSON has no line breaks, so one line holds any of it. */
export function eventText(type: string, id: string, data: object): string {
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

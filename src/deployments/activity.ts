import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { IdleClockRepository } from './idle-clock.repository.js';

const FLUSH_INTERVAL_MS = 5000;

/**
 * When each deployment was last used. Kept in memory, so that a message never waits for the disk, and written to the
 * rows every few seconds. A lease is work in flight: while one is open the deployment counts as used now.
 */
@Injectable()
export class Activity implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Activity.name);
  private readonly touched = new Map<string, number>();
  private readonly leases = new Map<string, number>();
  private readonly probes: ((id: string) => boolean)[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly idleClock: IdleClockRepository) {}

  /** A message passed. */
  touch(id: string, now = Date.now()): void {
    this.touched.set(id, now);
  }

  /** Work begins; it ends when the returned function is called, once or more often. */
  begin(id: string): () => void {
    this.leases.set(id, (this.leases.get(id) ?? 0) + 1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.touch(id);
      const left = (this.leases.get(id) ?? 1) - 1;
      if (left === 0) this.leases.delete(id);
      else this.leases.set(id, left);
    };
  }

  /** `probe` knows of more work in flight: what holds no lease, but would be lost. */
  alsoBusy(probe: (id: string) => boolean): void {
    this.probes.push(probe);
  }

  /** When it was last used, where that is newer than what its row says. */
  lastUsedAt(id: string, now: number): number | undefined {
    return this.isBusy(id) ? now : this.touched.get(id);
  }

  isBusy(id: string): boolean {
    return this.leases.has(id) || this.probes.some((probe) => probe(id));
  }

  /** True while there is work in flight anywhere. */
  get isAnyBusy(): boolean {
    return this.leases.size > 0;
  }

  /** Write what is known to the rows. */
  flush(now: number): void {
    for (const id of this.leases.keys()) this.touched.set(id, now);
    if (this.touched.size === 0) return;
    this.idleClock.recordActivity(this.touched);
    this.touched.clear();
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      try {
        this.flush(Date.now());
      } catch (error) {
        // Kept in memory; the next round writes it.
        this.logger.error(error);
      }
    }, FLUSH_INTERVAL_MS).unref();
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.timer);
    this.flush(Date.now());
  }
}

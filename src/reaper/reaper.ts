import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Activity } from '../deployments/activity.js';
import { Capacity } from '../deployments/capacity.js';
import { DeploymentLifecycle } from '../deployments/deployment-lifecycle.js';
import { IdleClockRepository } from '../deployments/idle-clock.repository.js';

const INTERVAL_MS = 5000;
const MOST_PER_TICK = 100;
const EXPIRED = { code: 'expired', message: 'It was idle for deleteAfterSeconds.' } as const;
const IDLE = { code: 'idle', message: 'It was idle for pauseAfterSeconds.' } as const;

/** Marks deployments that were idle for too long as to be paused or deleted. The reconciler does the rest. */
@Injectable()
export class Reaper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Reaper.name);
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly idleClock: IdleClockRepository,
    private readonly lifecycle: DeploymentLifecycle,
    private readonly activity: Activity,
    private readonly capacity: Capacity,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      try {
        this.reap(Date.now());
      } catch (error) {
        // The next tick tries again.
        this.logger.error(error);
      }
    }, INTERVAL_MS).unref();
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  /** Synchronous from the last look at memory to the change of status, so that no message can come between them. */
  reap(now: number): void {
    this.activity.flush(now);
    for (const { id, what } of this.idleClock.listDue(now, MOST_PER_TICK)) {
      if (this.activity.isBusy(id)) {
        // Its time counts from the end of that, and it does not stand before others that are due.
        this.activity.touch(id, now);
        continue;
      }
      if (what === 'delete') this.lifecycle.move(id, 'deleting', EXPIRED, now);
      else this.lifecycle.move(id, 'pausing', IDLE, now, { from: ['running'] });
    }
    this.capacity.relieve(now);
  }
}

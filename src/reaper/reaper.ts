import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Activity } from '../deployments/activity.js';
import { DeploymentLifecycle } from '../deployments/deployment-lifecycle.js';
import { DeploymentsRepository } from '../deployments/deployments.repository.js';
import { Reconciler } from '../deployments/reconciler.js';

const INTERVAL_MS = 5000;
const MOST_PER_TICK = 100;

/** Marks deployments that were idle for too long as to be deleted. The reconciler does the rest. */
@Injectable()
export class Reaper implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Reaper.name);
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly lifecycle: DeploymentLifecycle,
    private readonly reconciler: Reconciler,
    private readonly activity: Activity,
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
    for (const id of this.repository.listDue(now, MOST_PER_TICK)) {
      if (this.activity.isBusy(id)) continue;
      const reason = { code: 'expired', message: 'It was idle for deleteAfterSeconds.' } as const;
      if (this.lifecycle.move(id, 'deleting', reason, now)) this.reconciler.request(id);
    }
  }
}

import { Injectable } from '@nestjs/common';
import { DeploymentEvents } from './deployment-events.js';
import { type Start, type StartEnd, type StartObserver, type StartTimes, StartWatch } from './start-watch.js';

/** How long deployments took to be there again when a request last woke them, since the service started. */
@Injectable()
export class WakeTimes implements StartObserver {
  private readonly lastMs = new Map<string, number>();

  constructor(starts: StartWatch, events: DeploymentEvents) {
    starts.observe(this);
    events.onStatus(({ deploymentId, to }) => {
      if (to === 'deleted') this.lastMs.delete(deploymentId);
    });
  }

  /** Milliseconds from the request to `running`; undefined: it was not woken. */
  lastMsOf(deploymentId: string): number | undefined {
    return this.lastMs.get(deploymentId);
  }

  ended({ deploymentId, kind }: Start, end: StartEnd, { seconds }: StartTimes): void {
    if (kind === 'wake' && end === 'ready') this.lastMs.set(deploymentId, Math.round(seconds * 1000));
  }
}

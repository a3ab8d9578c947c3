import { Injectable } from '@nestjs/common';
import { DeploymentEvents, type StatusChange } from './deployment-events.js';

/** How long deployments took to be there again when they were last woken, since the service started. */
@Injectable()
export class WakeTimes {
  private readonly wakingSince = new Map<string, number>();
  private readonly lastMs = new Map<string, number>();

  constructor(events: DeploymentEvents) {
    events.onStatus((change) => this.follow(change, performance.now()));
  }

  /** Milliseconds from the request, or the call of the API, to `running`; undefined: it was not woken. */
  lastMsOf(deploymentId: string): number | undefined {
    return this.lastMs.get(deploymentId);
  }

  private follow({ deploymentId, from, to }: StatusChange, now: number): void {
    if (to === 'deleted') this.lastMs.delete(deploymentId);
    if (to === 'starting' && (from === 'paused' || from === 'pausing')) {
      this.wakingSince.set(deploymentId, now);
      return;
    }
    const since = this.wakingSince.get(deploymentId);
    this.wakingSince.delete(deploymentId);
    if (to === 'running' && since !== undefined) this.lastMs.set(deploymentId, Math.round(now - since));
  }
}

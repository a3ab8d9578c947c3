import { Injectable } from '@nestjs/common';
import type { Counter, Histogram } from 'prom-client';
import { STATUSES } from '../deployments/deployment.js';
import { DeploymentCountsRepository } from '../deployments/deployment-counts.repository.js';
import { DeploymentEvents, type StatusChange } from '../deployments/deployment-events.js';
import {
  type Start,
  type StartEnd,
  type StartObserver,
  type StartTimes,
  StartWatch,
} from '../deployments/start-watch.js';
import { MetricsRegistry } from './metrics-registry.js';

const SECONDS = [0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180];
/** Reasons for which the service itself pauses or deletes a deployment, and what it does then. */
const REAPS = new Map<string, 'pause' | 'delete'>([
  ['idle', 'pause'],
  ['pressure', 'pause'],
  ['expired', 'delete'],
]);

/** What becomes of deployments. How many there are is looked up when somebody asks: counted along, it would drift. */
@Injectable()
export class DeploymentMetrics implements StartObserver {
  private readonly starts: Counter<'kind' | 'code'>;
  private readonly durations: Histogram<'kind'>;
  private readonly reaps: Counter<'action' | 'reason'>;

  constructor(
    counts: DeploymentCountsRepository,
    events: DeploymentEvents,
    starts: StartWatch,
    metrics: MetricsRegistry,
  ) {
    metrics.gauge(
      { name: 'mcp_runner_deployments', help: 'Deployments by status.', labels: ['status'] },
      (set) => {
        for (const status of STATUSES) set(Number.NaN, { status });
        try {
          for (const [status, found] of Object.entries(counts.byStatus())) set(found, { status });
        } catch {
          // A database that cannot be read is reported by /health; the other metrics are wanted all the more.
        }
      },
    );
    this.starts = metrics.counter({
      name: 'mcp_runner_deployment_starts_total',
      help: 'Starts that have ended: ready, superseded by a pause or a deletion, or why they failed.',
      labels: ['kind', 'code'],
    });
    this.durations = metrics.histogram(
      {
        name: 'mcp_runner_deployment_start_duration_seconds',
        help: 'From the decision to start a deployment until it runs; those of kind wake are what clients wait for.',
        labels: ['kind'],
      },
      SECONDS,
    );
    this.reaps = metrics.counter({
      name: 'mcp_runner_reaps_total',
      help: 'Deployments that the service began to pause or delete of its own accord.',
      labels: ['action', 'reason'],
    });
    const crashes = metrics.counter({
      name: 'mcp_runner_server_crashes_total',
      help: 'Servers and sandboxes that ended by themselves; many of a deployment that end together count once.',
      labels: ['code'],
    });
    events.onCrash(({ code }) => crashes.inc({ code }));
    events.onStatus((change) => this.noteReap(change));
    starts.observe(this);
  }

  ended({ kind }: Start, code: StartEnd, { seconds }: StartTimes): void {
    this.starts.inc({ kind, code });
    if (code === 'ready') this.durations.observe({ kind }, seconds);
  }

  private noteReap({ to, code }: StatusChange): void {
    const action = to === 'pausing' || to === 'deleting' ? REAPS.get(code) : undefined;
    if (action) this.reaps.inc({ action, reason: code });
  }
}

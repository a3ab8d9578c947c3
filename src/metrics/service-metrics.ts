import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { Gateway } from '../gateway/gateway.js';
import { MetricsRegistry } from './metrics-registry.js';

/** What the service itself holds. */
@Injectable()
export class ServiceMetrics {
  constructor(gateway: Gateway, database: Database, metrics: MetricsRegistry) {
    metrics.gauge(
      {
        name: 'mcp_runner_sessions',
        help: 'Sessions known in memory, serving: with a server process, or resting: until their next request.',
        labels: ['state'],
      },
      (set) => {
        for (const [state, found] of Object.entries(gateway.tallySessions())) set(found, { state });
      },
    );
    metrics.gauge(
      { name: 'mcp_runner_database_bytes', help: 'Size of the database on disk, with its write-ahead log.' },
      (set) => set(database.size()),
    );
  }
}

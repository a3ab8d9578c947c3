import { Injectable } from '@nestjs/common';
import type { Counter, Histogram } from 'prom-client';
import type { CallFacts, CallObserver } from '../mcp/edges/calls/call.js';
import type { CallEnd } from '../mcp/edges/calls/call-end.js';
import { Calls } from '../mcp/edges/calls/calls.js';
import { methodClass } from './method-class.js';
import { MetricsRegistry } from './metrics-registry.js';

/** From a fast answer of a warm server to a call that works for a minute. */
const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10, 60];
/** Open as long as its client likes. */
const ENDLESS = 'subscriptions/listen';

/** Requests of MCP clients, counted where they begin and end. */
@Injectable()
export class CallMetrics implements CallObserver {
  private inFlight = 0;
  private readonly ends: Counter<'edge' | 'method' | 'outcome'>;
  private readonly durations: Histogram<'edge' | 'method'>;

  constructor(calls: Calls, metrics: MetricsRegistry) {
    this.ends = metrics.counter({
      name: 'mcp_runner_gateway_requests_total',
      help: 'MCP requests of clients that have ended, by transport, method and outcome.',
      labels: ['edge', 'method', 'outcome'],
    });
    this.durations = metrics.histogram(
      {
        name: 'mcp_runner_gateway_request_duration_seconds',
        help: 'From the arrival of an MCP request to its answer, with the waking of its deployment.',
        labels: ['edge', 'method'],
      },
      SECONDS,
    );
    metrics.gauge(
      {
        name: 'mcp_runner_gateway_requests_in_flight',
        help: 'MCP requests of clients that wait for their answer, subscriptions included.',
      },
      (set) => set(this.inFlight),
    );
    calls.observe(this);
  }

  began(): void {
    this.inFlight++;
  }

  ended({ edge, method: asked }: CallFacts, { outcome }: CallEnd, seconds: number): void {
    this.inFlight--;
    const method = methodClass(asked);
    this.ends.inc({ edge, method, outcome });
    if (method !== ENDLESS) this.durations.observe({ edge, method }, seconds);
  }
}

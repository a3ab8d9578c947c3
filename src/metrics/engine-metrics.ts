import { Injectable } from '@nestjs/common';
import { SandboxRuntime } from '../containers/sandbox-runtime.js';
import { MetricsRegistry } from './metrics-registry.js';

const SECONDS = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60];

/** The engine below, as it looks from here. */
@Injectable()
export class EngineMetrics {
  constructor(runtime: SandboxRuntime, metrics: MetricsRegistry) {
    metrics.gauge(
      {
        name: 'mcp_runner_engine_up',
        help: '0 while the container engine is known not to answer and calls fail at once, else 1.',
      },
      (set) => set(runtime.vitals().isUp ? 1 : 0),
    );
    metrics.gauge(
      {
        name: 'mcp_runner_server_processes',
        help: 'MCP server processes that run in sandboxes, spare ones included.',
      },
      (set) => set(runtime.vitals().processes),
    );
    const calls = metrics.histogram(
      {
        name: 'mcp_runner_engine_call_duration_seconds',
        help: 'Calls of the container engine until the head of their answer, by verb; refused: it answered with an error.',
        labels: ['verb', 'outcome'],
      },
      SECONDS,
    );
    runtime.onEngineCall(({ verb, outcome, seconds }) => calls.observe({ verb, outcome }, seconds));
  }
}

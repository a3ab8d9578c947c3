import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Config } from '../config/config.js';
import { StartWatch } from '../deployments/start-watch.js';
import { CLIENT_INFO } from '../gateway/client-info.js';
import { Calls } from '../mcp/edges/calls/calls.js';
import { within } from '../waiting/within.js';
import type { OpenTracer } from './otlp-tracer.js';

/** What the end of the service waits for a collector that does not answer. */
const FLUSH_MS = 2000;

/** Traces, where the environment names a collector. Without one nothing of OpenTelemetry's SDK is loaded. */
@Injectable()
export class Tracing implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger(Tracing.name);
  private open: OpenTracer | undefined;

  constructor(
    private readonly config: Config,
    private readonly calls: Calls,
    private readonly starts: StartWatch,
  ) {}

  async onModuleInit(): Promise<void> {
    const { traceProtocol } = this.config;
    if (traceProtocol === undefined) return;
    const [{ openTracer }, { Spans }] = await Promise.all([import('./otlp-tracer.js'), import('./spans.js')]);
    this.open = openTracer(traceProtocol, CLIENT_INFO.version, {
      misconfigured: (message) => this.logger.warn({ event: 'trace_configuration', message }),
      failed: (message) => this.logger.warn({ event: 'trace_export_failed', message }),
      recovered: () => this.logger.log({ event: 'trace_export_recovered' }),
    });
    const spans = new Spans(this.open.tracer);
    this.calls.traceWith(spans.begin);
    this.starts.observe(spans);
  }

  async onApplicationShutdown(): Promise<void> {
    if (!this.open) return;
    // What could not be handed over is told by the exporter, or lost with the collector.
    await within(
      FLUSH_MS,
      this.open.close().catch(() => undefined),
    );
  }
}

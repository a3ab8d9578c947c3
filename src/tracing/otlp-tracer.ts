import { diag, DiagLogLevel, type Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { TraceProtocol } from '../config/config.js';
import { type ExportLog, WatchedExporter } from './watched-exporter.js';

export interface TracerLog extends ExportLog {
  /** What the SDK has to say of its configuration. */
  misconfigured(message: string): void;
}

export interface OpenTracer {
  tracer: Tracer;
  /** Hands over what is left. Takes as long as the exporter does, so it is not to be waited for without a limit. */
  close: () => Promise<void>;
}

/**
 * A tracer whose spans leave by OTLP over HTTP. Endpoint, headers, sampler, limits and the bounds of the queue are what the
 * standard variables say, which the SDK reads itself. Nothing of it is registered globally.
 */
export function openTracer(protocol: TraceProtocol, version: string, log: TracerLog): OpenTracer {
  const tell = (message: string): void => log.misconfigured(message);
  diag.setLogger(
    { error: tell, warn: tell, info: noop, debug: noop, verbose: noop },
    {
      logLevel: DiagLogLevel.WARN,
      suppressOverrideMessage: true,
    },
  );
  try {
    const own = resourceFromAttributes({ 'service.name': 'mcp-runner', 'service.version': version });
    const exporter = protocol === 'http/json' ? new JsonExporter() : new ProtobufExporter();
    const provider = new BasicTracerProvider({
      resource: own.merge(detectResources({ detectors: [envDetector] })),
      spanProcessors: [new BatchSpanProcessor(new WatchedExporter(exporter, log))],
    });
    return { tracer: provider.getTracer('mcp-runner', version), close: () => provider.shutdown() };
  } finally {
    // It would tell of every batch that fails.
    diag.disable();
  }
}

function noop(): void {
  return undefined;
}

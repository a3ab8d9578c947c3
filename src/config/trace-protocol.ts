import { TRACE_PROTOCOLS, type TraceProtocol } from './config.js';
import type { EnvReader } from './env-reader.js';

/**
 * Whether, and in which form, traces leave, by the variables that OpenTelemetry has for it: undefined unless an endpoint is
 * named. What the SDK would take for a reason to go on without a word is a mistake here.
 */
export function readTraceProtocol(reader: EnvReader): TraceProtocol | undefined {
  const endpoints = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'].map((name) =>
    // They may hold credentials.
    reader.text(name, isHttpUrl, 'a URL such as http://localhost:4318', 'secret'),
  );
  if (endpoints.every((endpoint) => endpoint === undefined)) return undefined;
  const isDisabled = reader.text('OTEL_SDK_DISABLED', () => true, '')?.toLowerCase() === 'true';
  if (isDisabled) return undefined;
  const exporter = reader.oneOf('OTEL_TRACES_EXPORTER', ['otlp', 'none'] as const);
  // The rest may be meant for other exporters, or for another day.
  if (exporter === 'none') return undefined;
  return (
    reader.oneOf('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', TRACE_PROTOCOLS) ??
    reader.oneOf('OTEL_EXPORTER_OTLP_PROTOCOL', TRACE_PROTOCOLS) ??
    'http/protobuf'
  );
}

function isHttpUrl(value: string): boolean {
  const url = URL.parse(value);
  return url !== null && /^https?:$/.test(url.protocol);
}

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { mediaTypeOf } from '../mcp/channels/http-exchange.js';
import type { TraceContext } from '../mcp/edges/calls/trace-context.js';

/**
 * What of a client's request a server sees: what MCP is made of, and what belongs to no one. A list of what may pass, not
 * of what may not, because nobody knows all names under which credentials and addresses travel.
 */
const TO_SERVER = new Set([
  'accept',
  'accept-language',
  'content-type',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'user-agent',
]);
/** Servers check them against the body, so intermediaries have to pass them on (revision 2026-07-28). */
const PARAM = /^mcp-param-/;
const TO_CLIENT = ['content-type', 'mcp-protocol-version', 'allow', 'retry-after'];
const EVENT_STREAM = { 'cache-control': 'no-store, no-transform', 'x-accel-buffering': 'no' };

export function headersForServer(
  headers: IncomingHttpHeaders,
  own: { host: string; contentLength: number | undefined; trace: TraceContext | undefined },
): IncomingHttpHeaders {
  const passed = Object.entries(headers).filter(([name]) => TO_SERVER.has(name) || PARAM.test(name));
  return {
    ...Object.fromEntries(passed),
    host: own.host,
    ...(own.trace && { traceparent: own.trace.traceparent }),
    ...(own.trace?.tracestate !== undefined && { tracestate: own.trace.tracestate }),
    ...(own.contentLength !== undefined && { 'content-length': String(own.contentLength) }),
  };
}

/** What of a server's answer a client sees. Nothing in it may set cookies, send elsewhere or become a page. */
export function headersForClient(answer: IncomingMessage): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const name of TO_CLIENT) {
    const value = answer.headers[name];
    if (typeof value === 'string') passed[name] = value;
  }
  if (answer.headers['transfer-encoding'] === undefined && answer.headers['content-length'] !== undefined) {
    passed['content-length'] = answer.headers['content-length'];
  }
  return {
    ...passed,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(mediaTypeOf(answer) === 'text/event-stream' && EVENT_STREAM),
  };
}

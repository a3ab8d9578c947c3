import {
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { Start, StartEnd, StartObserver } from '../deployments/start-watch.js';
import type { CallEnd } from '../mcp/edges/calls/call-end.js';
import type { CallTracer } from '../mcp/edges/calls/calls.js';
import type { TraceContext } from '../mcp/edges/calls/trace-context.js';
import { LISTEN } from '../mcp/modern/modern-request.js';

/** What a client may call a method; anything else is not repeated. */
const METHOD = /^[\w$./-]{1,64}$/;
const MAX_NAME_CHARS = 128;
const NAMED: Record<string, string> = {
  'tools/call': 'gen_ai.tool.name',
  'prompts/get': 'gen_ai.prompt.name',
};
const JSON_RPC_CODE = /^-\d+$/;

/**
 * Calls and starts as spans, named by the OpenTelemetry conventions for MCP. They say which deployment, method and tool it
 * was, and how it ended; never a session, an argument, an answer or a message of anybody's.
 */
export class Spans implements StartObserver {
  /** Calls that wait for an answer, by deployment, the newest last: that has woken it, if it had to be. */
  private readonly callers = new Map<string, Set<Span>>();
  private readonly starts = new Map<Start, Span>();

  constructor(private readonly tracer: Tracer) {}

  /** Undefined where the sampler does not want it. */
  readonly begin: CallTracer = (call, parent, readName) => {
    const method = METHOD.test(call.method) ? call.method : 'other';
    const options = { kind: SpanKind.SERVER, startTime: call.arrivedAt };
    const span = this.tracer.startSpan(method, options, contextOf(parent));
    if (!span.isRecording()) return undefined;
    span.setAttributes({
      'mcp.method.name': method,
      'network.transport': 'tcp',
      'network.protocol.name': call.edge === 'websocket' ? 'websocket' : 'http',
      'mcp_runner.edge': call.edge,
      'mcp_runner.deployment.id': call.deploymentId,
    });
    const attribute = Object.hasOwn(NAMED, method) ? NAMED[method] : undefined;
    if (attribute !== undefined) nameSpan(span, method, attribute, readName());
    // Those that listen outlive many a pause and wake nobody.
    if (call.method !== LISTEN) this.addCaller(call.deploymentId, span);
    return {
      context: { traceparent: traceparentOf(span), tracestate: parent?.tracestate },
      end: (end) => {
        this.dropCaller(call.deploymentId, span);
        tellEnd(span, end);
        // By the clock that it began by.
        span.end(performance.now());
      },
    };
  };

  began(start: Start): void {
    const callers = start.kind === 'wake' ? this.callers.get(start.deploymentId) : undefined;
    const caller = [...(callers ?? [])].at(-1);
    const parent = caller ? trace.setSpan(ROOT_CONTEXT, caller) : ROOT_CONTEXT;
    const span = this.tracer.startSpan(`deployment ${start.kind}`, { kind: SpanKind.INTERNAL }, parent);
    if (!span.isRecording()) return;
    span.setAttributes({
      'mcp_runner.deployment.id': start.deploymentId,
      'mcp_runner.start.kind': start.kind,
    });
    this.starts.set(start, span);
  }

  ended(start: Start, end: StartEnd): void {
    const span = this.starts.get(start);
    if (!span) return;
    this.starts.delete(start);
    span.setAttribute('mcp_runner.start.code', end);
    if (end !== 'ready' && end !== 'superseded') fail(span, end);
    span.end();
  }

  private addCaller(deploymentId: string, span: Span): void {
    const callers = this.callers.get(deploymentId) ?? new Set();
    this.callers.set(deploymentId, callers.add(span));
  }

  private dropCaller(deploymentId: string, span: Span): void {
    const callers = this.callers.get(deploymentId);
    if (callers?.delete(span) === true && callers.size === 0) this.callers.delete(deploymentId);
  }
}

function nameSpan(span: Span, method: string, attribute: string, fullName: string | undefined): void {
  if (fullName === undefined || fullName === '') return;
  // A copy: a slice would keep all of a long one until the span is exported.
  const name = Buffer.from(fullName.slice(0, MAX_NAME_CHARS)).toString();
  span.updateName(`${method} ${name}`).setAttribute(attribute, name);
  if (method === 'tools/call') span.setAttribute('gen_ai.operation.name', 'execute_tool');
}

function tellEnd(span: Span, { outcome, reason }: CallEnd): void {
  span.setAttribute('mcp_runner.outcome', outcome);
  if (outcome === 'ok' || outcome === 'cancelled') return;
  if (reason !== undefined && JSON_RPC_CODE.test(reason))
    span.setAttribute('rpc.response.status_code', reason);
  fail(span, reason ?? outcome);
}

/** Without the message, which may quote what a client has sent. */
function fail(span: Span, type: string): void {
  span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR });
}

function contextOf(parent: TraceContext | undefined): Context {
  if (!parent) return ROOT_CONTEXT;
  const [, traceId = '', spanId = '', flags = ''] = parent.traceparent.split('-');
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & 1,
    isRemote: true,
    ...(parent.tracestate !== undefined && { traceState: createTraceState(parent.tracestate) }),
  });
}

function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

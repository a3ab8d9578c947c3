import { type Request, stringIn } from '../../jsonrpc/envelope.js';
import { paramOf } from '../../jsonrpc/param.js';
import { Call, type CallFacts, type CallObserver, type CallSpan, type EdgeName } from './call.js';
import { canCarryTrace, type TraceContext, traceOfRequest, withTrace } from './trace-context.js';

/**
 * Makes a span of a call; undefined where nobody wants to see it. Must not throw and not wait. `readName`: of the tool or the
 * prompt, as the client wrote it; not to be kept.
 */
export type CallTracer = (
  call: CallFacts,
  parent: TraceContext | undefined,
  readName: () => string | undefined,
) => CallSpan | undefined;

/** A call, and its request as it goes on to the server. */
export interface BegunCall {
  call: Call;
  request: Request;
}

/**
 * Where calls are announced to those who count and trace them, who are not known here. The trace that a request belongs
 * to goes on to its server in `_meta` (revision 2026-07-28, basic), also where nobody traces.
 */
export class Calls {
  private readonly observers: CallObserver[] = [];
  private tracer: CallTracer | undefined;

  observe(observer: CallObserver): void {
    this.observers.push(observer);
  }

  traceWith(tracer: CallTracer): void {
    this.tracer = tracer;
  }

  /**
   * `trace`: of the HTTP request that brought it, if that says; what the message says itself comes first. `arrivedAt`: of that
   * request, where the deployment was waited for meanwhile.
   */
  begin(
    edge: EdgeName,
    deploymentId: string,
    request: Request,
    trace: TraceContext | undefined,
    arrivedAt = performance.now(),
  ): BegunCall {
    const { method } = request;
    const facts = { edge, deploymentId, method, arrivedAt };
    // The way of nearly all: nothing is read, nothing is changed.
    if (!this.tracer && !trace) return { call: new Call(facts, this.observers, undefined), request };
    const own = traceOfRequest(request);
    const parent = own === 'malformed' ? undefined : (own ?? trace);
    const span = this.tracer?.(facts, parent, () => stringIn(paramOf(request, 'name')));
    const call = new Call(facts, this.observers, span);
    const next = span?.context ?? (own === undefined ? trace : undefined);
    const isToCarry = next !== undefined && own !== 'malformed' && canCarryTrace(request);
    return { call, request: isToCarry ? withTrace(request, next) : request };
  }

  /** A call whose body passes unread; `context` is what its headers are to say of the trace. */
  beginUnread(
    edge: EdgeName,
    deploymentId: string,
    told: { method: string; name: string | undefined; arrivedAt: number },
    trace: TraceContext | undefined,
  ): { call: Call; context: TraceContext | undefined } {
    const { method, name, arrivedAt } = told;
    const facts = { edge, deploymentId, method, arrivedAt };
    const span = this.tracer?.(facts, trace, () => name);
    return { call: new Call(facts, this.observers, span), context: span?.context ?? trace };
  }
}

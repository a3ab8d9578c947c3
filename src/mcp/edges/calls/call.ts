import { AppError } from '../../../errors/app-error.js';
import { EdgeError } from '../http/http-reply.js';
import { type CallEnd, endOfAnswer, endOfStatus } from './call-end.js';
import type { TraceContext } from './trace-context.js';

/** The transports that clients speak. */
export const EDGES = ['streamable_http', 'sse', 'websocket'] as const;
export type EdgeName = (typeof EDGES)[number];

/** Reasons that are the client's own. */
const LEFT = new Set(['499', 'request_cancelled']);

/** What is kept of a call until it ends; not its request, which may be large. */
export interface CallFacts {
  readonly edge: EdgeName;
  readonly deploymentId: string;
  /** As its client wrote it. */
  readonly method: string;
  /** When its request came; milliseconds of `performance.now()`. */
  readonly arrivedAt: number;
}

/** Told of every call. Must not throw and not wait. */
export interface CallObserver {
  began(): void;
  /** `seconds`: from the arrival of the request to its end. */
  ended(call: CallFacts, end: CallEnd, seconds: number): void;
}

/** A span of a trace: what its call is part of from now on, and the way to end it. */
export interface CallSpan {
  readonly context: TraceContext;
  end(end: CallEnd): void;
}

/** One request of a client, from its arrival to its end. Of several ends the first counts. */
export class Call {
  private isOver = false;

  constructor(
    private readonly facts: CallFacts,
    private readonly observers: readonly CallObserver[],
    private readonly span: CallSpan | undefined,
  ) {
    for (const observer of observers) observer.began();
  }

  /** `text`: the answer as JSON. */
  answered(text: string): void {
    if (!this.isOver) this.end(endOfAnswer(this.facts.method, text));
  }

  /** The answer passed unread. */
  answeredWith(status: number): void {
    this.end(endOfStatus(status));
  }

  /** No server was asked, for this reason, which may be that the client has left. */
  refused(error: unknown): void {
    const status = error instanceof EdgeError ? String(error.status) : 'internal_error';
    const reason = error instanceof AppError ? error.code : status;
    this.end(LEFT.has(reason) ? { outcome: 'cancelled' } : { outcome: 'refused', reason });
  }

  /** Nobody waits for the answer any more. */
  cancelled(): void {
    this.end({ outcome: 'cancelled' });
  }

  private end(end: CallEnd): void {
    if (this.isOver) return;
    this.isOver = true;
    const seconds = (performance.now() - this.facts.arrivedAt) / 1000;
    for (const observer of this.observers) observer.ended(this.facts, end, seconds);
    this.span?.end(end);
  }
}

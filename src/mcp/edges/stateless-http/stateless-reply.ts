import type { ServerResponse } from 'node:http';
import type { AppError } from '../../../errors/app-error.js';
import { scanObject, startOf } from '../../jsonrpc/json-scanner.js';
import { RPC } from '../../jsonrpc/json-rpc.js';
import { MODERN_RPC } from '../../modern/modern-error.js';
import type { Outlet } from '../../sessions/outlet.js';
import { untilTaken } from '../http/back-pressure.js';
import { type EdgeError, rpcErrorText, sendError, sendJson } from '../http/http-reply.js';
import { SseConnection } from '../http/sse-connection.js';
import type { Accepted } from '../streamable-http/request-checks.js';

/** Silence after which an answer becomes a stream, so that keep-alives can hold its connection. */
const SILENCE_MS = 5000;
/** Answers beyond this are no mere errors. */
const MAX_ERROR_CHARS = 65_536;
/** Errors of a server that the revision gives an HTTP status; all others are answers like any. */
const STATUS_OF = new Map<number, number>([
  [RPC.methodNotFound, 404],
  [MODERN_RPC.headerMismatch, 400],
  [MODERN_RPC.missingCapability, 400],
  [MODERN_RPC.unsupportedVersion, 400],
]);

/**
 * The answer to one request of the modern era: one JSON body when the answer is the first thing to come, a stream of its
 * own otherwise. Streams have no event ids: what is lost is asked again (revision 2026-07-28, basic/transports).
 */
export class StatelessReply implements Outlet {
  private stream: SseConnection | undefined;
  private done = false;
  private readonly silence: NodeJS.Timeout | undefined;

  constructor(
    private readonly res: ServerResponse,
    private readonly accepted: Accepted,
  ) {
    if (!accepted.json) this.startStream();
    else if (accepted.sse) this.silence = setTimeout(() => this.startStream(), SILENCE_MS);
  }

  get open(): boolean {
    return !this.done && this.accepted.sse && !this.res.closed;
  }

  deliver(text: string, last: boolean): Promise<void> | undefined {
    if (this.done) return undefined;
    if (!last) {
      this.startStream();
      return this.stream?.event(undefined, text);
    }
    this.stop();
    if (!this.stream) {
      sendJson(this.res, statusOf(text), text);
      return this.res.closed || this.res.writableLength === 0 ? undefined : untilTaken(this.res);
    }
    const wait = this.stream.event(undefined, text);
    this.stream.end();
    return wait;
  }

  /** The request has failed before a server took it. */
  fail(error: EdgeError | AppError, rawId: string): void {
    this.stop();
    // Whoever has a stream already gets no status.
    if (!this.stream) {
      sendError(this.res, error, rawId);
      return;
    }
    void this.stream.event(undefined, rpcErrorText(error, rawId));
    this.stream.end();
  }

  /** Nothing more will come by this way. */
  stop(): void {
    this.done = true;
    clearTimeout(this.silence);
  }

  private startStream(): void {
    clearTimeout(this.silence);
    if (this.stream || this.done || this.res.closed || this.res.headersSent || !this.accepted.sse) return;
    this.stream = new SseConnection(this.res);
  }
}

function statusOf(text: string): number {
  if (text.length > MAX_ERROR_CHARS || !text.includes('"error"')) return 200;
  const { error } = scanObject(text, startOf(text), ['error']).members;
  const code = error && scanObject(text, error.start, ['code']).members.code;
  return (code && STATUS_OF.get(Number(text.slice(code.start, code.end)))) ?? 200;
}

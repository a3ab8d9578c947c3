import { randomUUID } from 'node:crypto';
import { rawSlot, type Request, type Response } from '../jsonrpc/envelope.js';
import type { Need } from './asked-capability.js';
import type { Asked } from './modern-answer.js';
import type { ModernRequestParts } from './modern-request-parts.js';

/** Something the server wants to know of the client during a call. */
export interface Question {
  /** The id under which the server waits for the answer; undefined where it gave its answer and wants to be asked again. */
  serverId: string | undefined;
  /** An InputRequest as JSON text. */
  json: string;
}

/**
 * A request of the modern era that a handshake-era server works on. While its client answers questions the call stays
 * open at the server, and the client's next request takes the place of the one before.
 */
export class BridgedCall {
  readonly handle = randomUUID();
  /** Its id at the server; undefined before it is sent there and once it is answered. */
  upstreamId: number | undefined;
  /** What the server waits for, by the key the client knows it under. */
  readonly questions = new Map<string, Question>();
  /** What the server asked and this client cannot be asked, by name. */
  readonly refused = new Map<string, Need>();
  /** How often it has been parked. */
  round = 0;
  digest: string | undefined;
  /** The server's answer, where it came while the client was busy with questions. */
  outcome: Response | undefined;
  expiry: NodeJS.Timeout | undefined;
  private collecting: NodeJS.Timeout | undefined;
  private currentId: string | undefined;
  private currentToken: string | undefined;

  /** @param request the first one, which is kept as long as its digest may be needed */
  constructor(
    readonly method: string,
    readonly parts: ModernRequestParts,
    public request: Request | undefined,
  ) {}

  /** The id of the client's request that waits for an answer, as JSON text; undefined while the call is parked. */
  get rawId(): string | undefined {
    return this.currentId;
  }

  /** The progress token of that request. */
  get rawToken(): string | undefined {
    return this.currentToken;
  }

  /** The client waits, with this request. */
  attach(request: Request): void {
    this.currentId = request.rawId;
    this.currentToken = rawSlot(request, 'requestToken');
  }

  /** The client's request is answered; what it was, to write that answer. */
  detach(): Asked {
    const asked = { method: this.method, rawId: this.currentId ?? 'null', rawUri: this.parts.rawUri };
    this.currentId = undefined;
    this.currentToken = undefined;
    return asked;
  }

  /** Call `ask` once nothing has been asked for so long. Starts anew each time. */
  collect(ask: () => void, quietMs: number): void {
    this.stopCollecting();
    const timer = setTimeout(() => {
      // What has arrived already, but could not be read yet, belongs to it.
      setImmediate(() => {
        if (this.collecting === timer) ask();
      });
    }, quietMs);
    this.collecting = timer;
  }

  stopCollecting(): void {
    clearTimeout(this.collecting);
    this.collecting = undefined;
  }
}

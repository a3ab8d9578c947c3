import { rawSlot, type Request, type Response } from '../jsonrpc/envelope.js';
import type { VirtualChannel } from './virtual-channel.js';

/** More than the clients of one process have in flight; each holds memory of ours. */
const MAX_IN_FLIGHT = 10_000;
/** How long a server may still work at a request that was cancelled. */
const CANCELLED_MS = 60_000;
const MAX_CANCELLED = 10_000;
/** Of requests whose session has left, which is not to be kept for as long as the server may work at them. */
const LEFT = Symbol('sessions that have left');

export interface SharedRequest {
  /** Unique for the process, never used again; also the progress token it sees. */
  id: number;
  session: VirtualChannel;
  /** The session's id and progress token as JSON text. */
  rawId: string;
  rawToken: string | undefined;
  method: string;
}

/** What becomes of a request of ours; no answer: it did not come in time. */
export type Settle = (answer: Response | undefined) => void;

type Origin = VirtualChannel | typeof LEFT;

/** The requests in flight over one server process: those of its sessions, and our own. */
export class SharedRequests {
  private readonly inFlight = new Map<number, SharedRequest>();
  private readonly own = new Map<number, { settle: Settle; deadline: NodeJS.Timeout }>();
  /** Cancelled, unanswered, and perhaps still worked at; the oldest first. */
  private readonly cancelled = new Map<number, { origin: Origin; until: number }>();
  /** How many requests of each session the server may be at work at. */
  private readonly origins = new Map<Origin, number>();
  /** Until then there may be requests at work that are not remembered. */
  private unknownUntil = 0;
  private nextId = 1;

  constructor(private readonly now: () => number) {}

  get isFull(): boolean {
    return this.inFlight.size >= MAX_IN_FLIGHT;
  }

  add(session: VirtualChannel, message: Request): SharedRequest {
    const { rawId, method } = message;
    const request = {
      id: this.nextId++,
      session,
      rawId,
      rawToken: rawSlot(message, 'requestToken'),
      method,
    };
    this.inFlight.set(request.id, request);
    if (isOrigin(request)) this.count(session, 1);
    return request;
  }

  /** An id for a request of ours. `settle` is called once, with its answer or after so long. */
  addOwn(ms: number, settle: Settle): number {
    const id = this.nextId++;
    const expire = (): void => {
      this.own.delete(id);
      settle(undefined);
    };
    this.own.set(id, { settle, deadline: setTimeout(expire, ms).unref() });
    return id;
  }

  /** Who waits for the answer to our id, as the server wrote it; afterwards nobody does. */
  take(rawId: string): SharedRequest | Settle | undefined {
    const id = Number(rawId);
    const own = this.own.get(id);
    if (own) {
      clearTimeout(own.deadline);
      this.own.delete(id);
      return own.settle;
    }
    const request = this.inFlight.get(id);
    if (request) this.remove(request);
    else this.forgetCancelled(id);
    return request;
  }

  /** The request in flight that asked for progress under this token of ours. */
  findByToken(rawToken: string): SharedRequest | undefined {
    return this.inFlight.get(Number(rawToken));
  }

  /** The newest request in flight of a session with this id of its own; nobody waits for its answer afterwards. */
  cancel(session: VirtualChannel, rawId: string): SharedRequest | undefined {
    const found = this.of(session).findLast((request) => request.rawId === rawId);
    if (found) this.markCancelled(found);
    return found;
  }

  /** All requests in flight of a session that leaves; nobody waits for their answers afterwards. */
  cancelAll(session: VirtualChannel): SharedRequest[] {
    const all = this.of(session);
    for (const request of all) this.markCancelled(request);
    this.forgetSession(session);
    return all;
  }

  /**
   * The one session for which the server can be at work. What it says without naming a request is about this session;
   * undefined where there is none, or more than one. Also a cancelled request counts, for servers finish what they should
   * have stopped, and so do our own. Not ping: nothing is done for it.
   */
  origin(): VirtualChannel | undefined {
    const now = this.now();
    for (const [id, { until }] of this.cancelled) {
      if (until > now) break;
      this.forgetCancelled(id);
    }
    if (this.own.size > 0 || this.origins.size !== 1 || this.unknownUntil > now) return undefined;
    const [only] = this.origins.keys();
    return only === LEFT || only?.whyClosed ? undefined : only;
  }

  /** The process is gone. */
  clear(): void {
    for (const { deadline } of this.own.values()) clearTimeout(deadline);
    this.own.clear();
    this.inFlight.clear();
    this.cancelled.clear();
    this.origins.clear();
  }

  private of(session: VirtualChannel): SharedRequest[] {
    return [...this.inFlight.values()].filter((request) => request.session === session);
  }

  private remove(request: SharedRequest): void {
    this.inFlight.delete(request.id);
    if (isOrigin(request)) this.count(request.session, -1);
  }

  private markCancelled(request: SharedRequest): void {
    this.inFlight.delete(request.id);
    if (!isOrigin(request)) return;
    this.cancelled.set(request.id, { origin: request.session, until: this.now() + CANCELLED_MS });
    const [oldest] = this.cancelled;
    if (this.cancelled.size <= MAX_CANCELLED || !oldest) return;
    this.unknownUntil = Math.max(this.unknownUntil, oldest[1].until);
    this.forgetCancelled(oldest[0]);
  }

  /** What the server may still be at work at for it stays counted. */
  private forgetSession(session: VirtualChannel): void {
    const count = this.origins.get(session);
    if (count === undefined) return;
    this.origins.delete(session);
    this.count(LEFT, count);
    for (const entry of this.cancelled.values()) {
      if (entry.origin === session) entry.origin = LEFT;
    }
  }

  private forgetCancelled(id: number): void {
    const entry = this.cancelled.get(id);
    if (!entry) return;
    this.cancelled.delete(id);
    this.count(entry.origin, -1);
  }

  private count(origin: Origin, by: number): void {
    const count = (this.origins.get(origin) ?? 0) + by;
    if (count > 0) this.origins.set(origin, count);
    else this.origins.delete(origin);
  }
}

function isOrigin({ method }: SharedRequest): boolean {
  return method !== 'ping';
}

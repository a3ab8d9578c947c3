import { rawSlot, type Request } from '../jsonrpc/envelope.js';
import type { Outlet } from './outlet.js';

export interface PendingRequest {
  /** Our id, unique for the process; also the progress token it sees. */
  id: number;
  /** The client's id and progress token as JSON text, to be put back. */
  rawId: string;
  rawToken: string | undefined;
  method: string;
  outlet: Outlet;
  /** When it was made, or its server last told of its progress; milliseconds since 1970. */
  heardAt: number;
}

/** Tasks report progress after their request was answered; so many of their tokens are remembered. */
const MAX_TASK_TOKENS = 256;

/**
 * The client's requests in flight. A client's id is never a key: clients reuse them, some send the same one always, so
 * each request gets a number of ours.
 */
export class RequestTable {
  private readonly pending = new Map<number, PendingRequest>();
  private readonly taskTokens = new Map<number, string>();
  private nextId = 1;

  get size(): number {
    return this.pending.size;
  }

  /** A number that no request has, for one that is not the client's. */
  newId(): number {
    return this.nextId++;
  }

  add(message: Request, outlet: Outlet): PendingRequest {
    const request: PendingRequest = {
      id: this.newId(),
      rawId: message.rawId,
      rawToken: rawSlot(message, 'requestToken'),
      method: message.method,
      outlet,
      heardAt: Date.now(),
    };
    this.pending.set(request.id, request);
    return request;
  }

  /** The request in flight that our id (as the server wrote it) names. */
  find(rawId: string): PendingRequest | undefined {
    return this.pending.get(Number(rawId));
  }

  /** The request that our id (as the server wrote it) names; it is no longer in flight afterwards. */
  take(rawId: string): PendingRequest | undefined {
    const request = this.pending.get(Number(rawId));
    if (request) this.pending.delete(request.id);
    return request;
  }

  /** Keep the progress token of a request that was answered by a task. */
  keepToken(request: PendingRequest): void {
    if (request.rawToken === undefined) return;
    this.taskTokens.set(request.id, request.rawToken);
    const [oldest] = this.taskTokens.keys();
    if (this.taskTokens.size > MAX_TASK_TOKENS && oldest !== undefined) this.taskTokens.delete(oldest);
  }

  /** Who asked for progress under this token of ours. No outlet: the request is answered, a task goes on. */
  findByToken(rawToken: string): { rawToken: string; outlet: Outlet | undefined } | undefined {
    const id = Number(rawToken);
    const request = this.pending.get(id);
    if (request) request.heardAt = Date.now();
    const token = request?.rawToken ?? this.taskTokens.get(id);
    return token === undefined ? undefined : { rawToken: token, outlet: request?.outlet };
  }

  /** The newest request in flight with this id of the client's. */
  findByClientId(rawId: string): PendingRequest | undefined {
    return this.newest((request) => request.rawId === rawId);
  }

  /** The newest request whose answer may still become a stream. */
  newestOpenOutlet(): Outlet | undefined {
    return this.newest((request) => request.outlet.open)?.outlet;
  }

  /** Requests of which nothing was heard since. */
  silent(since: number): PendingRequest[] {
    return [...this.pending.values()].filter(({ heardAt }) => heardAt < since);
  }

  /** All of them, or those that match, which are no longer in flight afterwards. */
  takeAll(matches: (request: PendingRequest) => boolean = () => true): PendingRequest[] {
    const all = [...this.pending.values()].filter(matches);
    for (const { id } of all) this.pending.delete(id);
    return all;
  }

  private newest(matches: (request: PendingRequest) => boolean): PendingRequest | undefined {
    let found: PendingRequest | undefined;
    for (const request of this.pending.values()) if (matches(request)) found = request;
    return found;
  }
}

import { type Notification, rawMembers, rawSlot, type Response, stringIn } from '../jsonrpc/envelope.js';
import { RPC } from '../jsonrpc/json-rpc.js';
import { scanObject, startOf } from '../jsonrpc/json-scanner.js';
import { paramOf } from '../jsonrpc/param.js';
import { coveringUris, MAX_URI_CHARS } from './covering-uris.js';
import type { Notified } from './handshake-facts.js';
import { SUBSCRIPTION_ID } from './meta-keys.js';
import { errorCode, errorLine } from './modern-answer.js';
import { changed } from './object-change.js';

const MAX_WATCHED = 1000;
const MAX_WAITERS = 1000;
/** More than all of them, written with escapes. */
const MAX_ACKNOWLEDGED_CHARS = MAX_WATCHED * MAX_URI_CHARS;
/** Where the server ends a listen by itself, another follows after this, but not for ever. */
const REOPEN_MS = 1000;
const MAX_REOPENS = 10;

interface Listen {
  id: number;
  uris: Set<string>;
}

interface Waiter {
  rawId: string;
  uri: string;
}

export interface SessionListenIo {
  /** How long the server may take to acknowledge. */
  answerMs: number;
  /** A request id that the server has not seen. */
  takeId(): number;
  /** Send `subscriptions/listen` under this id. */
  listen(id: number, notifications: object): void;
  cancel(id: number): void;
  toClient(text: string): Promise<void> | undefined;
}

/**
 * What a session of the handshake era wants to be told, as one `subscriptions/listen` at a time. Where the wish changes,
 * a second listen is opened, and the first one counts until the second is acknowledged: the server writes in order, so
 * that nothing is lost and nothing comes twice.
 */
export class SessionListen {
  private readonly wanted = new Set<string>();
  private current: Listen | undefined;
  private opening: Listen | undefined;
  private deadline: NodeJS.Timeout | undefined;
  private reopening: NodeJS.Timeout | undefined;
  private reopens = 0;
  private waiters: Waiter[] = [];

  constructor(
    private readonly tells: Notified,
    private readonly io: SessionListenIo,
  ) {}

  /** The session has begun. */
  start(): void {
    if (!this.current) this.open();
  }

  /** `resources/subscribe`, answered when the server has acknowledged it. */
  subscribe(rawId: string, uri: string): Promise<void> | undefined {
    const problem = this.problemOf(uri);
    if (problem !== undefined) return this.io.toClient(errorLine(rawId, RPC.invalidParams, problem));
    if (this.wanted.has(uri) && this.current?.uris.has(uri) === true) return this.done(rawId);
    this.wanted.add(uri);
    this.waiters.push({ rawId, uri });
    this.open();
    return undefined;
  }

  /** `resources/unsubscribe`; nothing about the resource is told from now on. */
  unsubscribe(rawId: string, uri: string): Promise<void> | undefined {
    if (this.wanted.delete(uri)) {
      this.answerWaiters(new Set([uri]));
      this.open();
    }
    return this.done(rawId);
  }

  /** A request to subscribe is not waited for any more. */
  forget(rawId: string): void {
    this.waiters = this.waiters.filter((waiter) => waiter.rawId !== rawId);
  }

  acknowledged(message: Notification): Promise<void> | undefined {
    const { opening } = this;
    if (!opening || Number(rawSlot(message, 'subscriptionId')) !== opening.id) return undefined;
    this.settleOpening();
    const before = this.current;
    this.current = opening;
    if (before) this.io.cancel(before.id);
    const honoured = honouredIn(message);
    const refused = new Set([...opening.uris].filter((uri) => !honoured.has(uri)));
    for (const uri of refused) {
      this.wanted.delete(uri);
      opening.uris.delete(uri);
    }
    this.answerWaiters(refused, 'The server does not tell of changes of this resource');
    this.answerWaiters(opening.uris);
    if (!this.isServedBy(opening)) this.open();
    return undefined;
  }

  /** Something the server tells; what does not belong to the listen that counts is dropped. */
  tell(message: Notification): Promise<void> | undefined {
    if (!this.current || Number(rawSlot(message, 'subscriptionId')) !== this.current.id) return undefined;
    if (message.method === 'notifications/resources/updated' && !this.wants(message)) return undefined;
    const untagged = { within: { _meta: { drop: (name: string) => name === SUBSCRIPTION_ID } } };
    return this.io.toClient(changed(message.text, { within: { params: untagged } }));
  }

  /** The server refused or ended a listen; false where the id is none of ours. */
  ended(id: number, answer?: Response): boolean {
    if (this.opening?.id === id) {
      this.settleOpening();
      const message = answer && stringIn(rawMembers(answer, answer.error, ['message']).message);
      this.refuseWaiters(message ?? 'The server ended the subscription', answer && errorCode(answer));
      return true;
    }
    if (this.current?.id !== id) return false;
    this.current = undefined;
    if (this.reopens++ < MAX_REOPENS && !this.opening) {
      this.reopening = setTimeout(() => this.open(), REOPEN_MS).unref();
    }
    return true;
  }

  /** The server is gone. */
  clear(): void {
    clearTimeout(this.deadline);
    clearTimeout(this.reopening);
    this.waiters = [];
  }

  /** Bring what the server was asked for into line with what is wanted, one listen after the other. */
  private open(): void {
    clearTimeout(this.reopening);
    if (this.opening) return;
    if (this.isEmpty()) {
      if (this.current) this.io.cancel(this.current.id);
      this.current = undefined;
      return;
    }
    if (this.current && this.isServedBy(this.current)) return;
    const uris = new Set(this.wanted);
    const { toolsListChanged, promptsListChanged, resourcesListChanged } = this.tells;
    const filter = {
      ...(toolsListChanged && { toolsListChanged }),
      ...(promptsListChanged && { promptsListChanged }),
      ...(resourcesListChanged && { resourcesListChanged }),
      ...(uris.size > 0 && { resourceSubscriptions: [...uris] }),
    };
    const id = this.io.takeId();
    this.opening = { id, uris };
    this.deadline = setTimeout(() => {
      const late = this.opening;
      this.settleOpening();
      if (late) this.io.cancel(late.id);
      this.refuseWaiters(
        `The server did not acknowledge the subscription within ${this.io.answerMs / 1000} s`,
      );
    }, this.io.answerMs);
    this.io.listen(id, filter);
  }

  private settleOpening(): void {
    clearTimeout(this.deadline);
    this.opening = undefined;
  }

  private isEmpty(): boolean {
    const { toolsListChanged, promptsListChanged, resourcesListChanged } = this.tells;
    return this.wanted.size === 0 && !toolsListChanged && !promptsListChanged && !resourcesListChanged;
  }

  private isServedBy({ uris }: Listen): boolean {
    return uris.size === this.wanted.size && [...uris].every((uri) => this.wanted.has(uri));
  }

  private wants(message: Notification): boolean {
    const uri = stringIn(paramOf(message, 'uri'));
    return uri !== undefined && coveringUris(uri).some((watched) => this.wanted.has(watched));
  }

  private answerWaiters(uris: ReadonlySet<string>, problem?: string): void {
    const answered = this.waiters.filter(({ uri }) => uris.has(uri));
    this.waiters = this.waiters.filter(({ uri }) => !uris.has(uri));
    for (const { rawId } of answered) {
      if (problem === undefined) void this.done(rawId);
      else void this.io.toClient(errorLine(rawId, RPC.invalidParams, problem));
    }
  }

  /** What is not subscribed yet is not wanted any more. */
  private refuseWaiters(message: string, code: number = RPC.serverError): void {
    const refused = this.waiters.splice(0);
    for (const { rawId, uri } of refused) {
      if (this.current?.uris.has(uri) !== true) this.wanted.delete(uri);
      void this.io.toClient(errorLine(rawId, code, message));
    }
  }

  private done(rawId: string): Promise<void> | undefined {
    return this.io.toClient(`{"jsonrpc":"2.0","id":${rawId},"result":{}}`);
  }

  private problemOf(uri: string): string | undefined {
    if (!this.tells.resourceSubscriptions) return 'The server has no resource subscriptions';
    if (uri.length > MAX_URI_CHARS) return `A URI must not have more than ${MAX_URI_CHARS} characters`;
    if (this.waiters.length >= MAX_WAITERS) return `More than ${MAX_WAITERS} subscriptions are under way`;
    return this.wanted.size >= MAX_WATCHED && !this.wanted.has(uri)
      ? `More than ${MAX_WATCHED} resources are subscribed; unsubscribe from some first`
      : undefined;
  }
}

/** The resources that an acknowledgement names. */
function honouredIn(message: Notification): Set<string> {
  const { text } = message;
  const { params } = scanObject(text, startOf(text), ['params']).members;
  const { notifications } = params ? scanObject(text, params.start, ['notifications']).members : {};
  const raw = rawMembers(message, notifications, ['resourceSubscriptions']).resourceSubscriptions;
  if (raw === undefined || raw.length > MAX_ACKNOWLEDGED_CHARS) return new Set();
  const uris: unknown = JSON.parse(raw);
  return new Set(Array.isArray(uris) ? uris.filter((uri) => typeof uri === 'string') : []);
}

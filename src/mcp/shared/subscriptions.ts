import { type Notification, type Request, type Response, stringIn } from '../jsonrpc/envelope.js';
import { errorText, RPC } from '../jsonrpc/json-rpc.js';
import { coveringUris } from '../translation/covering-uris.js';
import type { AskServer } from './ask-server.js';
import { paramOf } from '../jsonrpc/param.js';
import type { VirtualChannel } from './virtual-channel.js';

const MAX_URI_CHARS = 2048;
const MAX_URIS = 4096;
const MAX_URIS_PER_SESSION = 1000;
/** Sessions that wait for the answer to a subscription which another one began. */
const MAX_WAITERS = 10_000;

interface Waiter {
  session: VirtualChannel;
  rawId: string;
  /** It has unsubscribed again. */
  withdrawn: boolean;
}

interface Watched {
  holders: Set<VirtualChannel>;
  /** Undefined once the server has agreed. */
  waiters: Waiter[] | undefined;
}

/** Which resources which sessions watch. The server knows of one subscription each, from the first session to the last. */
export class Subscriptions {
  private readonly watched = new Map<string, Watched>();
  private readonly perSession = new Map<VirtualChannel, number>();
  private waiters = 0;

  constructor(private readonly ask: AskServer) {}

  subscribe(session: VirtualChannel, request: Request): Promise<void> | undefined {
    const uri = stringIn(paramOf(request, 'uri'));
    const { rawId } = request;
    if (uri === undefined || uri.length > MAX_URI_CHARS) {
      const message = `Invalid params: uri must be a string of at most ${MAX_URI_CHARS} characters`;
      session.reply(errorText(rawId, { code: RPC.invalidParams, message }));
      return undefined;
    }
    const known = this.watched.get(uri);
    if (known?.holders.has(session)) return this.agree(session, rawId);
    const refusal = this.refusalOf(session, known);
    if (refusal !== undefined) {
      session.reply(errorText(rawId, { code: RPC.serverError, message: refusal }));
      return undefined;
    }
    if (known && !known.waiters) {
      this.hold(session, known);
      return this.agree(session, rawId);
    }
    const entry = known ?? { holders: new Set(), waiters: [] };
    entry.waiters?.push({ session, rawId, withdrawn: false });
    this.waiters++;
    if (known) return undefined;
    this.watched.set(uri, entry);
    return this.ask.ask('resources/subscribe', { uri }, (answer) => this.settle(uri, entry, answer));
  }

  unsubscribe(session: VirtualChannel, request: Request): Promise<void> | undefined {
    const uri = stringIn(paramOf(request, 'uri')) ?? '';
    const { rawId } = request;
    const entry = this.watched.get(uri);
    for (const waiter of entry?.waiters ?? []) if (waiter.session === session) waiter.withdrawn = true;
    if (!entry?.holders.has(session)) return this.agree(session, rawId);
    this.release(session, entry);
    if (entry.holders.size > 0) return this.agree(session, rawId);
    return this.end(uri, (answer) => session.reply(this.ask.answerTo(rawId, answer)));
  }

  /** Give back what a session holds. What it waits for is given back when it comes. */
  leave(session: VirtualChannel): void {
    for (const [uri, entry] of this.watched) {
      if (!entry.holders.has(session)) continue;
      this.release(session, entry);
      if (entry.holders.size === 0) void this.end(uri, () => undefined);
    }
  }

  /** Who watches the resource of `notifications/resources/updated`. */
  watchersOf(message: Notification): Iterable<VirtualChannel> {
    const uri = stringIn(paramOf(message, 'uri'));
    const watchers = new Set<VirtualChannel>();
    if (uri === undefined) return watchers;
    for (const watched of coveringUris(uri)) {
      for (const session of this.watched.get(watched)?.holders ?? []) watchers.add(session);
    }
    return watchers;
  }

  private settle(uri: string, entry: Watched, answer: Response | undefined): void {
    const waiters = entry.waiters ?? [];
    entry.waiters = undefined;
    this.waiters -= waiters.length;
    if (answer?.result) {
      for (const { session, withdrawn } of waiters) {
        if (!withdrawn && !session.whyClosed && !entry.holders.has(session)) this.hold(session, entry);
      }
    }
    if (!answer?.result) this.watched.delete(uri);
    else if (entry.holders.size === 0) void this.end(uri, () => undefined);
    for (const { session, rawId } of waiters) session.reply(this.ask.answerTo(rawId, answer));
  }

  private end(uri: string, settle: (answer: Response | undefined) => void): Promise<void> | undefined {
    this.watched.delete(uri);
    return this.ask.ask('resources/unsubscribe', { uri }, settle);
  }

  private hold(session: VirtualChannel, entry: Watched): void {
    entry.holders.add(session);
    this.perSession.set(session, this.countOf(session) + 1);
  }

  private release(session: VirtualChannel, entry: Watched): void {
    entry.holders.delete(session);
    const left = this.countOf(session) - 1;
    if (left > 0) this.perSession.set(session, left);
    else this.perSession.delete(session);
  }

  private refusalOf(session: VirtualChannel, known: Watched | undefined): string | undefined {
    if (this.countOf(session) >= MAX_URIS_PER_SESSION) {
      return `A session may watch at most ${MAX_URIS_PER_SESSION} resources; unsubscribe from one first`;
    }
    if (known) return this.waiters < MAX_WAITERS ? undefined : 'Too many sessions wait for subscriptions';
    return this.watched.size < MAX_URIS
      ? undefined
      : `The sessions of one server process may watch at most ${MAX_URIS} resources`;
  }

  private countOf(session: VirtualChannel): number {
    return this.perSession.get(session) ?? 0;
  }

  private agree(session: VirtualChannel, rawId: string): undefined {
    session.reply(`{"jsonrpc":"2.0","id":${rawId},"result":{}}`);
  }
}

import type { Channel, ChannelClosed } from '../channels/channel.js';
import {
  type Envelope,
  type Notification,
  rawSlot,
  type Response,
  stringIn,
  withSlots,
} from '../jsonrpc/envelope.js';
import { errorText, notificationText, requestText, RPC } from '../jsonrpc/json-rpc.js';
import { scanObject } from '../jsonrpc/json-scanner.js';
import { paramOf } from '../jsonrpc/param.js';
import { closedError, OVERDUE } from '../sessions/closed-error.js';
import type { Outlet } from '../sessions/outlet.js';
import { type PendingRequest, RequestTable } from '../sessions/request-table.js';
import { LOG_LEVELS } from './log-levels.js';
import { LISTEN, type ModernRequest } from './modern-request.js';

/** More requests in flight than one principal has; each holds memory of ours. */
const MAX_IN_FLIGHT = 1000;
const STOPPED: ChannelClosed = { cause: 'stopped', message: 'The server was stopped' };
const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';

/** A request on its way. */
export interface Relayed {
  /** The client does not want the answer any more. Idempotent. */
  cancel(): void;
  /** Settles when the server has taken it. */
  sent: Promise<void> | undefined;
}

/**
 * One server process of the modern era that serves many requests at once, each of which stands for itself. What the
 * server says goes to the request it belongs to and nowhere else; what belongs to none is dropped.
 */
export class ModernServer {
  private readonly requests = new RequestTable();
  /** Requests that asked for log messages, by our id. */
  private readonly logging = new Map<number, { level: number; outlet: Outlet; isCall: boolean }>();
  private readonly own = new Map<string, (answer: Response | undefined) => void>();
  private nextOwnId = 1;

  constructor(
    readonly channel: Channel,
    onClosed: (why: ChannelClosed) => void,
  ) {
    channel.open({
      message: (message) => this.fromServer(message),
      closed: (why) => {
        this.finish(why);
        onClosed(why);
      },
    });
  }

  get inFlight(): number {
    return this.requests.size;
  }

  /** Relay a request. The outlet gets its notifications and exactly one answer. */
  request({ message, logLevel, isCall }: ModernRequest, outlet: Outlet): Relayed {
    const why = this.channel.whyClosed;
    if (why || this.requests.size >= MAX_IN_FLIGHT) {
      const busy = { code: RPC.serverError, message: `More than ${MAX_IN_FLIGHT} requests are in flight` };
      void outlet.deliver(errorText(message.rawId, why ? closedError(why) : busy), true);
      return { cancel: () => undefined, sent: undefined };
    }
    const pending = this.requests.add(message, outlet);
    const level = LOG_LEVELS.indexOf(logLevel ?? '');
    if (level >= 0) this.logging.set(pending.id, { level, outlet, isCall });
    const id = String(pending.id);
    const sent = this.channel.send(withSlots(message, { id, requestToken: id }));
    return { cancel: () => this.cancel(pending, 'The client has left'), sent };
  }

  /** Ask something for ourselves; undefined where the server is gone or the signal comes first. */
  async ask(method: string, params: object, signal: AbortSignal): Promise<Response | undefined> {
    if (this.channel.whyClosed || signal.aborted) return undefined;
    const id = `own-${this.nextOwnId++}`;
    const late = (): void => this.settleOwn(id, undefined);
    signal.addEventListener('abort', late, { once: true });
    try {
      return await new Promise<Response | undefined>((resolve) => {
        this.own.set(id, resolve);
        void this.channel.send(requestText(id, method, params));
      });
    } finally {
      signal.removeEventListener('abort', late);
    }
  }

  /** Give up requests of which nothing was heard since (milliseconds since 1970). A subscription may be silent for ever. */
  expireCalls(since: number): void {
    for (const pending of this.requests.silent(since)) {
      if (pending.method === LISTEN) continue;
      this.cancel(pending, OVERDUE.message);
      void pending.outlet.deliver(errorText(pending.rawId, OVERDUE), true);
    }
  }

  /**
   * End the server. Subscriptions are lost before it can say goodbye to them, which their clients would take for their
   * end. Resolves when nothing of it is left; never rejects.
   */
  close(): Promise<void> {
    for (const { outlet } of this.requests.takeAll(({ method }) => method === LISTEN)) outlet.lost?.(STOPPED);
    return this.channel.close();
  }

  private cancel(pending: PendingRequest, reason: string): void {
    if (this.requests.take(String(pending.id)) === undefined) return;
    this.logging.delete(pending.id);
    if (this.channel.whyClosed) return;
    void this.channel.send(notificationText('notifications/cancelled', { requestId: pending.id, reason }));
  }

  private fromServer(message: Envelope): Promise<void> | undefined {
    if (message.kind === 'response') return this.answer(message);
    // A server of this era must not ask by requests (revision 2026-07-28, basic/transports).
    if (message.kind === 'request') {
      const error = { code: RPC.methodNotFound, message: 'Servers do not send requests in this revision' };
      return this.channel.send(errorText(message.rawId, error));
    }
    if (message.method === 'notifications/progress') return this.progress(message);
    if (message.method === 'notifications/message') return this.log(message);
    if (message.method === 'notifications/cancelled') return this.serverCancelled(message);
    return this.subscribed(message);
  }

  private answer(message: Response): Promise<void> | undefined {
    const ownId = stringIn(message.rawId);
    if (ownId !== undefined) return this.settleOwn(ownId, message);
    const pending = this.requests.take(message.rawId);
    if (!pending) return undefined;
    this.logging.delete(pending.id);
    const { rawId, method } = pending;
    const answer = method === LISTEN ? withSubscriptionSlot(message) : message;
    return pending.outlet.deliver(withSlots(answer, { id: rawId, subscriptionId: rawId }), true);
  }

  private settleOwn(id: string, answer: Response | undefined): undefined {
    const resolve = this.own.get(id);
    this.own.delete(id);
    resolve?.(answer);
  }

  private progress(message: Notification): Promise<void> | undefined {
    const token = rawSlot(message, 'progressToken');
    const asked = token === undefined ? undefined : this.requests.findByToken(token);
    if (!asked?.outlet?.open) return undefined;
    return asked.outlet.deliver(withSlots(message, { progressToken: asked.rawToken }), false);
  }

  /** Over stdio a log message does not say which request it is about. */
  private log(message: Notification): Promise<void> | undefined {
    const all = [...this.logging.values()];
    const calls = all.filter(({ isCall }) => isCall);
    const [only, ...others] = calls.length > 0 ? calls : all;
    if (!only?.outlet.open || others.length > 0) return undefined;
    const level = LOG_LEVELS.indexOf(stringIn(paramOf(message, 'level')) ?? '');
    return level < only.level ? undefined : only.outlet.deliver(message.text, false);
  }

  /** The one thing a server may cancel is a subscription, whose stream ends with that. */
  private serverCancelled(message: Notification): Promise<void> | undefined {
    const rawId = rawSlot(message, 'requestId');
    const pending = rawId === undefined ? undefined : this.requests.find(rawId);
    if (pending?.method !== LISTEN) return undefined;
    this.requests.take(String(pending.id));
    return pending.outlet.deliver(withSlots(message, { requestId: pending.rawId }), true);
  }

  private subscribed(message: Notification): Promise<void> | undefined {
    const rawId = rawSlot(message, 'subscriptionId');
    const pending = rawId === undefined ? undefined : this.requests.find(rawId);
    if (pending?.method !== LISTEN) return undefined;
    return pending.outlet.deliver(withSlots(message, { subscriptionId: pending.rawId }), false);
  }

  private finish(why: ChannelClosed): void {
    this.logging.clear();
    for (const id of this.own.keys()) this.settleOwn(id, undefined);
    for (const { rawId, outlet } of this.requests.takeAll()) {
      if (outlet.lost) outlet.lost(why);
      else void outlet.deliver(errorText(rawId, closedError(why)), true);
    }
  }
}

/** The final answer to a subscription names it in its `_meta`, where notifications do in their params. */
function withSubscriptionSlot(message: Response): Response {
  const { text, result } = message;
  const { _meta: meta } = result ? scanObject(text, result.start, ['_meta']).members : {};
  const subscriptionId = meta && scanObject(text, meta.start, [SUBSCRIPTION_ID]).members[SUBSCRIPTION_ID];
  return subscriptionId ? { ...message, slots: { ...message.slots, subscriptionId } } : message;
}

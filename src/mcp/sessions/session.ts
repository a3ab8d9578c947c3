import { AppError } from '../../errors/app-error.js';
import { Channel, type ChannelClosed, type Origin } from '../channels/channel.js';
import {
  type Envelope,
  type Notification,
  rawMembers,
  rawSlot,
  type Request,
  type Response,
  withSlots,
} from '../jsonrpc/envelope.js';
import { errorText, notificationText, RPC } from '../jsonrpc/json-rpc.js';
import { closedError, OVERDUE } from './closed-error.js';
import { ConversationMemory, MAX_INITIALIZE_CHARS } from './conversation-memory.js';
import type { ConversationState } from './conversation-state.js';
import { DurableChannel, type DurableOptions } from './durable-channel.js';
import type { Outlet } from './outlet.js';
import { RequestTable } from './request-table.js';

/** More requests in flight than any client has; each holds memory of ours. */
const MAX_IN_FLIGHT = 1000;

/** Notifications that belong to no request. */
const SESSION_WIDE = /^notifications\/(.*\/)?(list_changed|updated|status|complete)$/;

/** What a session needs of the one that holds it. */
export interface SessionHolder extends Pick<
  DurableOptions,
  'reopen' | 'handshakeMs' | 'untilJoined' | 'outlivesSilence'
> {
  /** For what belongs to no request. */
  ambient: Outlet;
  /** What another process would have to be told has changed. */
  changed(state: ConversationState): void;
  /** The server process is gone; the session goes on with its next request. */
  lost(why: ChannelClosed): void;
  /** The session is over; the last call. */
  closed(why: ChannelClosed): void;
}

/**
 * One client's conversation with its own server process. Every message goes to exactly one place: answers, progress and
 * what else the channel knows the origin of to the request they belong to; what stdio leaves without an origin to the
 * newest request in flight; the rest, and what concerns the whole session, to the ambient outlet. It outlives the process: see `DurableChannel`.
 */
export class Session {
  private readonly channel: DurableChannel;
  private readonly memory: ConversationMemory;
  private readonly requests = new RequestTable();
  /** The server's requests that the client has not answered: our id → its id and where the request went. */
  private readonly serverRequests = new Map<number, { rawId: string; outlet: Outlet }>();
  /** Requests that wait for a server process, by the client's id. */
  private readonly waiting = new Map<string, AbortController>();
  private nextServerRequestId: number;

  /** @param start a conversation that nobody has begun, or one to go on with */
  constructor(
    start: Channel | ConversationState,
    private readonly holder: SessionHolder,
  ) {
    const fresh = start instanceof Channel ? start : undefined;
    const known = start instanceof Channel ? undefined : start;
    // A late answer to what was asked in an earlier life must not be taken for one to a new question.
    this.nextServerRequestId = known ? Date.now() : 1;
    this.memory = new ConversationMemory((state) => holder.changed(state), known);
    this.channel = new DurableChannel(fresh, {
      reopen: (signal) => holder.reopen(signal),
      handshakeMs: () => holder.handshakeMs(),
      untilJoined: () => holder.untilJoined?.(),
      state: () => this.memory.state,
      newId: () => this.requests.newId(),
      outlivesSilence: holder.outlivesSilence === true,
    });
    this.channel.open({
      message: (message, origin) => this.fromServer(message, origin),
      lost: (why) => this.lose(why),
      closed: (why) => this.finish(why),
    });
  }

  /** Negotiated by `initialize`; undefined until it was answered. */
  get protocolVersion(): string | undefined {
    return this.memory.protocolVersion;
  }

  /** Undefined until it is over. */
  get whyClosed(): ChannelClosed | undefined {
    return this.channel.whyClosed;
  }

  get isAwake(): boolean {
    return this.channel.whyAway === undefined;
  }

  /** Client requests that wait for an answer, or for a process that could give one. */
  get inFlight(): number {
    return this.requests.size + this.channel.waiting;
  }

  /** Relay a message of the client. The outlet gets the answer if it is a request, always exactly one. */
  fromClient(message: Envelope, outlet: Outlet): Promise<void> | undefined {
    if (message.kind === 'notification' && this.cancelWaiting(message)) return undefined;
    const why = this.channel.whyAway;
    if (why) {
      if (message.kind === 'request') return outlet.deliver(errorText(message.rawId, closedError(why)), true);
      // Another process would not know what it is about.
      return undefined;
    }
    if (message.kind === 'request') return this.request(message, outlet);
    if (message.kind === 'response') return this.answer(message);
    return this.notify(message);
  }

  /**
   * As of `DurableChannel`: requests that come while there is no process are refused. `request`: what it is for; where its
   * client cancels it meanwhile, it throws `request_cancelled`.
   */
  ready(signal?: AbortSignal, request?: Request): Promise<void> | undefined {
    if (!request || this.channel.isReady) return this.channel.ready(signal);
    const cancelled = new AbortController();
    const either = signal ? AbortSignal.any([signal, cancelled.signal]) : cancelled.signal;
    const { rawId } = request;
    const waking = this.channel.ready(either);
    if (waking) this.waiting.set(rawId, cancelled);
    return waking?.finally(() => {
      if (this.waiting.get(rawId) === cancelled) this.waiting.delete(rawId);
    });
  }

  /** See to it that there is a server process, to hear what it tells. As of `DurableChannel`. */
  async rejoin(): Promise<void> {
    await this.channel.ready(undefined, true);
  }

  /** Give up calls of which nothing was heard since (milliseconds since 1970): the client is told, and so is the server. */
  expireCalls(since: number): void {
    for (const { id, rawId, outlet } of this.requests.silent(since)) {
      this.requests.take(String(id));
      this.memory.forget(id);
      const params = { requestId: id, reason: OVERDUE.message };
      void this.channel.send(notificationText('notifications/cancelled', params));
      void outlet.deliver(errorText(rawId, OVERDUE), true);
    }
  }

  /** End the server process; the session goes on. Resolves when nothing of it is left; never rejects. */
  sleep(why: string): Promise<void> {
    return this.channel.sleep(why);
  }

  /** End the session. Resolves when nothing of it is left; never rejects. `fault`: what the server did wrong. */
  close(fault?: string): Promise<void> {
    return this.channel.close(fault);
  }

  private request(message: Request, outlet: Outlet): Promise<void> | undefined {
    if (this.requests.size >= MAX_IN_FLIGHT) {
      const error = { code: RPC.serverError, message: `More than ${MAX_IN_FLIGHT} requests are in flight` };
      return outlet.deliver(errorText(message.rawId, error), true);
    }
    if (message.method === 'initialize' && message.text.length > MAX_INITIALIZE_CHARS) {
      const limit = `initialize must not have more than ${MAX_INITIALIZE_CHARS} characters`;
      return outlet.deliver(errorText(message.rawId, { code: RPC.invalidParams, message: limit }), true);
    }
    const pending = this.requests.add(message, outlet);
    this.memory.note(pending.id, message);
    const id = String(pending.id);
    return this.channel.send(withSlots(message, { id, requestToken: id }));
  }

  /** An answer to something that nobody asked, or that was cancelled, ends here. */
  private answer(message: Response): Promise<void> | undefined {
    const id = Number(message.rawId);
    const request = this.serverRequests.get(id);
    if (!request) return undefined;
    this.serverRequests.delete(id);
    return this.channel.send(withSlots(message, { id: request.rawId }));
  }

  private notify(message: Notification): Promise<void> | undefined {
    if (message.method !== 'notifications/cancelled') return this.channel.send(message.text);
    const rawId = rawSlot(message, 'requestId');
    const pending = rawId === undefined ? undefined : this.requests.findByClientId(rawId);
    // Too late, or unknown: nothing to stop. The handshake must not be cancelled.
    if (!pending || pending.method === 'initialize') return undefined;
    this.requests.take(String(pending.id));
    this.memory.forget(pending.id);
    const sent = this.channel.send(withSlots(message, { requestId: String(pending.id) }));
    // The server owes no answer now, but the client's HTTP request does have to end.
    const error = { code: RPC.serverError, message: 'The client cancelled the request' };
    void pending.outlet.deliver(errorText(pending.rawId, error), true);
    return sent;
  }

  /** True: it was about a request that still waits for a process. */
  private cancelWaiting(message: Notification): boolean {
    const rawId = message.method === 'notifications/cancelled' ? rawSlot(message, 'requestId') : undefined;
    const waiting = rawId === undefined ? undefined : this.waiting.get(rawId);
    waiting?.abort(new AppError('request_cancelled'));
    return waiting !== undefined;
  }

  private fromServer(message: Envelope, origin: Origin): Promise<void> | undefined {
    if (message.kind === 'response') return this.serverAnswer(message);
    if (message.kind === 'request') return this.serverRequest(message, origin);
    if (message.method === 'notifications/progress') return this.serverProgress(message);
    if (message.method === 'notifications/cancelled') return this.serverCancelled(message);
    return this.route(message.method, origin).deliver(message.text, false);
  }

  private serverAnswer(message: Response): Promise<void> | undefined {
    const pending = this.requests.take(message.rawId);
    if (!pending) return undefined;
    this.memory.settle(pending.id, message);
    if (pending.rawToken !== undefined && rawMembers(message, message.result, ['task']).task !== undefined) {
      this.requests.keepToken(pending);
    }
    return pending.outlet.deliver(withSlots(message, { id: pending.rawId }), true);
  }

  private serverRequest(message: Request, origin: Origin): Promise<void> | undefined {
    const outlet = this.route(message.method, origin);
    // A client that does not listen would leave it unanswered, and a place for a question taken.
    if (message.method === 'ping' && !outlet.open) {
      return this.channel.send(`{"jsonrpc":"2.0","id":${message.rawId},"result":{}}`);
    }
    if (this.serverRequests.size >= MAX_IN_FLIGHT) {
      const error = {
        code: RPC.serverError,
        message: `More than ${MAX_IN_FLIGHT} requests wait for the client`,
      };
      return this.channel.send(errorText(message.rawId, error));
    }
    const id = this.nextServerRequestId++;
    this.serverRequests.set(id, { rawId: message.rawId, outlet });
    return outlet.deliver(withSlots(message, { id: String(id) }), false);
  }

  private serverProgress(message: Notification): Promise<void> | undefined {
    const token = rawSlot(message, 'progressToken');
    const asked = token === undefined ? undefined : this.requests.findByToken(token);
    if (!asked) return undefined;
    const outlet = asked.outlet?.open ? asked.outlet : this.holder.ambient;
    return outlet.deliver(withSlots(message, { progressToken: asked.rawToken }), false);
  }

  private serverCancelled(message: Notification): Promise<void> | undefined {
    const rawId = rawSlot(message, 'requestId');
    for (const [id, request] of this.serverRequests) {
      if (request.rawId !== rawId) continue;
      this.serverRequests.delete(id);
      const outlet = request.outlet.open ? request.outlet : this.holder.ambient;
      return outlet.deliver(withSlots(message, { requestId: String(id) }), false);
    }
    return undefined;
  }

  private route(method: string, origin: Origin): Outlet {
    const asked = typeof origin === 'string' ? this.requests.find(origin)?.outlet : undefined;
    if (asked?.open) return asked;
    const { ambient } = this.holder;
    // What is known not to be about another request must not look as if it were.
    const isAmbient = origin !== undefined || SESSION_WIDE.test(method);
    if (isAmbient && ambient.open) return ambient;
    return this.requests.newestOpenOutlet() ?? ambient;
  }

  private lose(why: ChannelClosed): void {
    // The questions of a process that is gone need no answer any more.
    for (const [id, { outlet }] of this.serverRequests) {
      const to = outlet.open ? outlet : this.holder.ambient;
      const params = { requestId: id, reason: why.message };
      void to.deliver(notificationText('notifications/cancelled', params), false);
    }
    this.failAll(why);
    this.holder.lost(why);
  }

  private finish(why: ChannelClosed): void {
    this.failAll(why);
    this.holder.closed(why);
  }

  private failAll(why: ChannelClosed): void {
    this.serverRequests.clear();
    this.memory.forgetAsked();
    for (const pending of this.requests.takeAll()) {
      void pending.outlet.deliver(errorText(pending.rawId, closedError(why)), true);
    }
  }
}

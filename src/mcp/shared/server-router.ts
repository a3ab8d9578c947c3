import {
  type Envelope,
  type Notification,
  rawSlot,
  type Request,
  type Response,
  stringIn,
} from '../jsonrpc/envelope.js';
import { errorText, RPC, type RpcError } from '../jsonrpc/json-rpc.js';
import { covers, needOf } from '../translation/asked-capability.js';
import { paramOf } from '../jsonrpc/param.js';
import { readdressed } from './readdressed.js';
import type { SharedState } from './shared-state.js';
import type { VirtualChannel } from './virtual-channel.js';

const MAX_SHOWN_CHARS = 100;
const LIST_CHANGED = /^notifications\/(.*\/)?list_changed$/;

/** The way of what the server says: each message to the sessions that it concerns, and to no other. */
export class ServerRouter {
  /** Notifications that concern nobody, or of which nobody can tell whom they concern. */
  dropped = 0;

  constructor(private readonly shared: SharedState) {}

  /** A promise holds back the next message, as in `ChannelHandlers`. */
  route(message: Envelope): Promise<void> | undefined {
    if (message.kind === 'response') this.answer(message);
    else if (message.kind === 'request') this.request(message);
    else if (!this.notify(message)) this.dropped++;
    return this.shared.backlog.untilRoom();
  }

  private answer(message: Response): void {
    const waiter = this.shared.requests.take(message.rawId);
    if (typeof waiter === 'function') waiter(message);
    if (typeof waiter !== 'object') return;
    this.shared.elicitations.rememberAnswer(waiter.session, message);
    waiter.session.deliver(readdressed(message, { id: waiter.rawId }));
  }

  /** Its answers are not waited for: a server that does not read while it writes would never get to it. The outbox bounds them. */
  private request(message: Request): void {
    const { outbox, requests, serverRequests, elicitations } = this.shared;
    if (message.method === 'ping') {
      void outbox.send(`{"jsonrpc":"2.0","id":${message.rawId},"result":{}}`);
      return;
    }
    const session = requests.origin();
    const refusal = this.refusalOf(message, session);
    if (refusal || !session) {
      void outbox.send(errorText(message.rawId, refusal ?? UNCLEAR));
      return;
    }
    elicitations.rememberRequest(session, message);
    const id = serverRequests.add(session, message);
    session.deliver(readdressed(message, { id: String(id) }));
  }

  private refusalOf(message: Request, session: VirtualChannel | undefined): RpcError | undefined {
    const need = needOf(message);
    if (!need || need.capability.roots) {
      const what = message.method.slice(0, MAX_SHOWN_CHARS);
      return unavailable(
        `${what} is not available: the sessions of this deployment share one server process`,
      );
    }
    if (!session) return UNCLEAR;
    if (!covers(session.capabilities, need)) return unavailable(`The client does not support ${need.name}`);
    if (!this.shared.serverRequests.isFull) return undefined;
    return { code: RPC.serverError, message: 'Too many requests wait for clients' };
  }

  /** False: nobody gets it. */
  private notify(message: Notification): boolean {
    const { method } = message;
    if (method === 'notifications/progress') return this.progress(message);
    if (method === 'notifications/message') return this.log(message);
    if (method === 'notifications/cancelled') return this.cancelled(message);
    if (LIST_CHANGED.test(method)) return this.toAll(this.readySessions(), message);
    if (method === 'notifications/resources/updated') {
      return this.toAll(this.shared.subscriptions.watchersOf(message), message);
    }
    if (method === 'notifications/elicitation/complete') {
      const id = stringIn(paramOf(message, 'elicitationId'));
      return this.toOne(this.shared.elicitations.take(id), message);
    }
    return method !== 'notifications/tasks/status' && this.toOne(this.shared.requests.origin(), message);
  }

  private progress(message: Notification): boolean {
    const token = rawSlot(message, 'progressToken');
    const request = token === undefined ? undefined : this.shared.requests.findByToken(token);
    if (request?.rawToken === undefined) return false;
    return this.toOne(request.session, readdressed(message, { progressToken: request.rawToken }));
  }

  private log(message: Notification): boolean {
    const session = this.shared.requests.origin();
    if (!session || !this.shared.logLevels.wants(session, message)) return false;
    return this.toOne(session, message);
  }

  private cancelled(message: Notification): boolean {
    const rawId = rawSlot(message, 'requestId');
    const asked = rawId === undefined ? undefined : this.shared.serverRequests.takeCancelled(rawId);
    return this.toOne(asked?.session, readdressed(message, { requestId: String(asked?.id) }));
  }

  private toOne(session: VirtualChannel | undefined, message: Notification): boolean {
    session?.deliver(message);
    return session !== undefined;
  }

  private toAll(sessions: Iterable<VirtualChannel>, message: Notification): boolean {
    let isWanted = false;
    for (const session of sessions) isWanted = this.toOne(session, message);
    return isWanted;
  }

  /** Those whose handshake is over; a copy, since one may end when it gets the message. */
  private readySessions(): VirtualChannel[] {
    return [...this.shared.sessions].filter(({ state }) => state === 'ready');
  }
}

const UNCLEAR = unavailable(
  'It cannot be told which client this is for: the sessions of this deployment share one server process, and not exactly one of them waits for it',
);

function unavailable(message: string): RpcError {
  return { code: RPC.methodNotFound, message };
}

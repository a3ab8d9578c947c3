import {
  type Envelope,
  type Notification,
  rawSlot,
  type Request,
  type Response,
  withSlots,
} from '../jsonrpc/envelope.js';
import { errorText, RPC } from '../jsonrpc/json-rpc.js';
import { changed } from '../translation/object-change.js';
import type { SharedState } from './shared-state.js';
import type { VirtualChannel } from './virtual-channel.js';

/** What only means something to a client whose server it alone is; we have declared neither roots nor tasks. */
const DROPPED = ['notifications/roots/list_changed', 'notifications/tasks/status'];

/** The way of what sessions say: to the server, or answered for it. */
export class ClientRouter {
  constructor(private readonly shared: SharedState) {}

  /** A promise asks the session to wait, like `Channel.send`. */
  route(session: VirtualChannel, message: Envelope): Promise<void> | undefined {
    // Also what is answered here fills the queue of a client that does not read.
    return this.dispatch(session, message) ?? this.shared.backlog.untilRoom();
  }

  private dispatch(session: VirtualChannel, message: Envelope): Promise<void> | undefined {
    if (message.kind === 'response') return this.answer(session, message);
    if (message.kind === 'request') {
      if (message.method === 'initialize') return this.shared.handshake.initialize(session, message);
      if (message.method === 'ping') return this.ping(session, message);
    }
    const { over } = this.shared.handshake;
    if (session.state === 'waiting' && over) return this.routeAfter(over, session, message);
    if (session.state === 'new' || session.state === 'waiting') return this.refuseEarly(session, message);
    session.state = 'ready';
    return message.kind === 'request' ? this.request(session, message) : this.notify(session, message);
  }

  /** What a client sends in one go with its initialize comes after it. */
  private async routeAfter(over: Promise<void>, session: VirtualChannel, message: Envelope): Promise<void> {
    await over;
    if (!session.whyClosed) await this.route(session, message);
  }

  private refuseEarly(session: VirtualChannel, message: Envelope): undefined {
    if (message.kind !== 'request') return;
    const error = { code: RPC.invalidRequest, message: 'Invalid Request: initialize must come first' };
    session.reply(errorText(message.rawId, error));
  }

  /** The server answers itself, so that a client learns when it hangs; before its handshake some do not bear it. */
  private ping(session: VirtualChannel, message: Request): Promise<void> | undefined {
    if (session.state === 'shaken' || session.state === 'ready') return this.relay(session, message);
    session.reply(`{"jsonrpc":"2.0","id":${message.rawId},"result":{}}`);
    return undefined;
  }

  private request(session: VirtualChannel, message: Request): Promise<void> | undefined {
    const { handshake, subscriptions, logLevels } = this.shared;
    switch (message.method) {
      case 'resources/subscribe':
        return subscriptions.subscribe(session, message);
      case 'resources/unsubscribe':
        return subscriptions.unsubscribe(session, message);
      case 'logging/setLevel':
        if (handshake.facts?.canLog !== true) return this.relay(session, message);
        return logLevels.set(session, message);
      default:
        return message.method.startsWith('tasks/')
          ? this.refuseTasks(session, message)
          : this.relay(session, message);
    }
  }

  private relay(session: VirtualChannel, message: Request): Promise<void> | undefined {
    const { requests, outbox, handshake } = this.shared;
    if (requests.isFull) {
      const error = { code: RPC.serverError, message: 'Too many requests are in flight over this server' };
      session.reply(errorText(message.rawId, error));
      return undefined;
    }
    const id = String(requests.add(session, message).id);
    const text = withSlots(message, { id, requestToken: id });
    return outbox.send(handshake.facts?.hasTasks === true ? withoutTask(text) : text, session);
  }

  private refuseTasks(session: VirtualChannel, message: Request): undefined {
    const error = {
      code: RPC.methodNotFound,
      message: 'Tasks are not available, because the sessions of this deployment share one server process',
    };
    session.reply(errorText(message.rawId, error));
  }

  /** Only who was asked may answer, and once. */
  private answer(session: VirtualChannel, message: Response): Promise<void> | undefined {
    const id = this.shared.serverRequests.takeAnswered(session, message.rawId);
    return id === undefined ? undefined : this.shared.outbox.send(withSlots(message, { id }), session);
  }

  private notify(session: VirtualChannel, message: Notification): Promise<void> | undefined {
    const { outbox } = this.shared;
    if (message.method === 'notifications/cancelled') return this.cancel(session, message);
    if (message.method === 'notifications/progress') {
      const token = rawSlot(message, 'progressToken');
      const isAsked = token !== undefined && this.shared.serverRequests.hasToken(session, token);
      return isAsked ? outbox.send(message.text, session) : undefined;
    }
    // The server was told that we are ready when we were.
    if (message.method === 'notifications/initialized' || DROPPED.includes(message.method)) return undefined;
    return outbox.send(message.text, session);
  }

  private cancel(session: VirtualChannel, message: Notification): Promise<void> | undefined {
    const rawId = rawSlot(message, 'requestId');
    const request = rawId === undefined ? undefined : this.shared.requests.cancel(session, rawId);
    if (!request) return undefined;
    return this.shared.outbox.send(withSlots(message, { requestId: String(request.id) }), session);
  }
}

/** Who has not declared tasks treats requests that ask for one as if they did not (2025-11-25, basic/utilities/tasks). */
function withoutTask(text: string): string {
  return changed(text, { within: { params: { drop: (name) => name === 'task' } } });
}

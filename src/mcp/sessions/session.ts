import type { Channel, ChannelClosed } from '../channels/channel.js';
import {
  type Envelope,
  type Notification,
  rawMembers,
  rawSlot,
  type Request,
  type Response,
  stringIn,
  withSlots,
} from '../jsonrpc/envelope.js';
import { errorText, RPC } from '../jsonrpc/json-rpc.js';
import { closedError } from './closed-error.js';
import type { Outlet } from './outlet.js';
import { RequestTable } from './request-table.js';

/** More requests in flight than any client has; each holds memory of ours. */
const MAX_IN_FLIGHT = 1000;

/** Notifications that belong to no request. */
const SESSION_WIDE = /^notifications\/(.*\/)?(list_changed|updated|status|complete)$/;

/**
 * One client's conversation with its own server process. Every message goes to exactly one place: answers and progress
 * to the request they belong to; what stdio leaves without an origin to the newest request in flight; the rest, and what
 * concerns the whole session, to the ambient outlet.
 */
export class Session {
  /** Negotiated by `initialize`; undefined until it was answered. */
  protocolVersion: string | undefined;
  private readonly requests = new RequestTable();
  /** The server's requests that the client has not answered: our id → its id and where the request went. */
  private readonly serverRequests = new Map<number, { rawId: string; outlet: Outlet }>();
  private nextServerRequestId = 1;

  constructor(
    private readonly channel: Channel,
    private readonly ambient: Outlet,
    private readonly onClosed: (why: ChannelClosed) => void,
  ) {
    channel.open({ message: (message) => this.fromServer(message), closed: (why) => this.finish(why) });
  }

  /** Client requests that wait for an answer. */
  get inFlight(): number {
    return this.requests.size;
  }

  /** Relay a message of the client. The outlet gets the answer if it is a request, always exactly one. */
  fromClient(message: Envelope, outlet: Outlet): Promise<void> | undefined {
    const why = this.channel.whyClosed;
    if (why) {
      if (message.kind === 'request') return outlet.deliver(errorText(message.rawId, closedError(why)), true);
      return undefined;
    }
    if (message.kind === 'request') return this.request(message, outlet);
    if (message.kind === 'response') return this.answer(message);
    return this.notify(message);
  }

  /** End the server process. Resolves when nothing of it is left; never rejects. `fault`: what the server did wrong. */
  close(fault?: string): Promise<void> {
    return this.channel.close(fault);
  }

  private request(message: Request, outlet: Outlet): Promise<void> | undefined {
    if (this.requests.size >= MAX_IN_FLIGHT) {
      const error = { code: RPC.serverError, message: `More than ${MAX_IN_FLIGHT} requests are in flight` };
      return outlet.deliver(errorText(message.rawId, error), true);
    }
    const pending = this.requests.add(message, outlet);
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
    const sent = this.channel.send(withSlots(message, { requestId: String(pending.id) }));
    // The server owes no answer now, but the client's HTTP request does have to end.
    const error = { code: RPC.serverError, message: 'The client cancelled the request' };
    void pending.outlet.deliver(errorText(pending.rawId, error), true);
    return sent;
  }

  private fromServer(message: Envelope): Promise<void> | undefined {
    if (message.kind === 'response') return this.serverAnswer(message);
    if (message.kind === 'request') return this.serverRequest(message);
    if (message.method === 'notifications/progress') return this.serverProgress(message);
    if (message.method === 'notifications/cancelled') return this.serverCancelled(message);
    return this.route(message.method).deliver(message.text, false);
  }

  private serverAnswer(message: Response): Promise<void> | undefined {
    const pending = this.requests.take(message.rawId);
    if (!pending) return undefined;
    if (pending.method === 'initialize') {
      const { protocolVersion } = rawMembers(message, message.result, ['protocolVersion']);
      this.protocolVersion = stringIn(protocolVersion);
    }
    if (pending.rawToken !== undefined && rawMembers(message, message.result, ['task']).task !== undefined) {
      this.requests.keepToken(pending);
    }
    return pending.outlet.deliver(withSlots(message, { id: pending.rawId }), true);
  }

  private serverRequest(message: Request): Promise<void> | undefined {
    const outlet = this.route(message.method);
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
    const outlet = asked.outlet?.open ? asked.outlet : this.ambient;
    return outlet.deliver(withSlots(message, { progressToken: asked.rawToken }), false);
  }

  private serverCancelled(message: Notification): Promise<void> | undefined {
    const rawId = rawSlot(message, 'requestId');
    for (const [id, request] of this.serverRequests) {
      if (request.rawId !== rawId) continue;
      this.serverRequests.delete(id);
      const outlet = request.outlet.open ? request.outlet : this.ambient;
      return outlet.deliver(withSlots(message, { requestId: String(id) }), false);
    }
    return undefined;
  }

  private route(method: string): Outlet {
    if (SESSION_WIDE.test(method) && this.ambient.open) return this.ambient;
    return this.requests.newestOpenOutlet() ?? this.ambient;
  }

  private finish(why: ChannelClosed): void {
    this.serverRequests.clear();
    for (const pending of this.requests.takeAll()) {
      void pending.outlet.deliver(errorText(pending.rawId, closedError(why)), true);
    }
    this.onClosed(why);
  }
}

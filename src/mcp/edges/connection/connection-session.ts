import type { Channel, ChannelClosed } from '../../channels/channel.js';
import { type Envelope, type ParsedBody, rawSlot, type Request } from '../../jsonrpc/envelope.js';
import { InvalidMessageError } from '../../jsonrpc/invalid-message.error.js';
import { errorText, RPC } from '../../jsonrpc/json-rpc.js';
import type { Era } from '../../modern/era.js';
import { hasModernClaim } from '../../modern/modern-request.js';
import type { WarmServers } from '../../modern/warm-servers.js';
import type { Outlet } from '../../sessions/outlet.js';
import { Session } from '../../sessions/session.js';
import type { Closable } from '../../sessions/session-directory.js';
import type { Upstream } from '../upstream.js';
import type { ClientConnection, ConnectionEnd } from './client-connection.js';
import { ModernRequests } from './modern-requests.js';

/** For the client to send `initialize`; enough for a person who types it. */
const INITIALIZE_MS = 60_000;

/** What the session directory wants to know; each is called at most once. */
interface Endings {
  /** The session is over, which may be at once. */
  closed(): void;
  /** It goes on without the server process that it was opened with. */
  vacated(): void;
}

/** A session that is one connection of its client: everything the server says goes there, and they end together. */
export class ConnectionSession implements Closable {
  private readonly session: Session;
  /** For what belongs to no request. */
  private readonly ambient: Outlet;
  private ending: ConnectionEnd | undefined;
  private over = false;
  /** By the first message, for good. */
  private era: Era | undefined;
  private readonly modern: ModernRequests;
  private deadline: NodeJS.Timeout | undefined;
  /** A request of the client has been told why the session is over. */
  private told = false;

  constructor(
    private readonly channel: Channel,
    private readonly connection: ClientConnection,
    private readonly upstream: Upstream,
    servers: WarmServers,
    private readonly endings: Endings,
  ) {
    this.modern = new ModernRequests(servers, connection, upstream);
    this.ambient = {
      get open() {
        return connection.open;
      },
      deliver: (text) => connection.send(text),
    };
    this.startDeadline(INITIALIZE_MS, () => {
      const message = `The client did not send initialize within ${INITIALIZE_MS / 1000} s`;
      this.end({ cause: 'policy', message });
    });
    this.session = new Session(channel, this.ambient, (why) => this.finish(why));
  }

  get inFlight(): number {
    return this.session.inFlight + this.modern.inFlight;
  }

  get connected(): boolean {
    return this.connection.open;
  }

  /** True when it is over. */
  get closed(): boolean {
    return this.over;
  }

  /**
   * Relay what the client sent. A promise asks it to wait until the server has read enough. Throws
   * `InvalidMessageError`, at once, for what cannot be relayed and is no request that could be answered with an error.
   */
  receive({ batch, messages }: ParsedBody): Promise<void> | undefined {
    // Batches exist in one revision only.
    if (batch && this.session.protocolVersion !== '2025-03-26') {
      throw new InvalidMessageError('this revision has no batches');
    }
    const [first] = messages;
    return first && messages.length === 1 ? this.relay(first) : this.relayAll(messages);
  }

  /** The client is gone. */
  leave(): void {
    this.end({ cause: 'completed', message: 'The client has left' });
  }

  /** End the server process, because the deployment or the service stops. Like `Session.close`. */
  close(): Promise<void> {
    this.end({ cause: 'going_away', message: 'The deployment has stopped, or the service does' });
    return this.session.close();
  }

  private async relayAll(messages: Envelope[]): Promise<void> {
    for (const message of messages) await this.relay(message);
  }

  private relay(message: Envelope): Promise<void> | undefined {
    if (message.kind === 'request') return this.request(message);
    if (this.era === 'modern') return this.modernNotice(message);
    if (this.era === undefined) throw new InvalidMessageError('initialize must come first');
    return this.session.fromClient(message, this.ambient);
  }

  private request(message: Request): Promise<void> | undefined {
    const isInitialize = message.method === 'initialize';
    if (this.era === 'modern' || (this.era === undefined && hasModernClaim(message))) {
      return this.modernRequest(message);
    }
    const refusal = this.refusalOf(message, isInitialize);
    if (refusal !== undefined) {
      const error = { code: RPC.invalidRequest, message: `Invalid Request: ${refusal}` };
      return this.connection.send(errorText(message.rawId, error));
    }
    if (isInitialize) this.awaitHandshake();
    const release = this.upstream.lease();
    const outlet = this.outletFor(() => {
      release();
      if (isInitialize) this.handshakeAnswered();
    });
    return this.session.fromClient(message, outlet);
  }

  private modernRequest(message: Request): Promise<void> {
    if (this.era === undefined) this.leaveHandshake();
    return this.modern.request(message);
  }

  /** Requests of the modern era go to a server that is kept for the principal; the one of this connection is not needed. */
  private leaveHandshake(): void {
    this.era = 'modern';
    clearTimeout(this.deadline);
    // It has its own deadlines and never rejects.
    void this.session.close();
    this.endings.vacated();
  }

  /** Clients of this era cancel, and have nothing else to tell or answer. */
  private modernNotice(message: Envelope): undefined {
    const rawId = rawSlot(message, 'requestId');
    if (message.kind === 'notification' && rawId !== undefined) this.modern.cancel(rawId);
  }

  private refusalOf(message: Request, isInitialize: boolean): string | undefined {
    const isBegun = this.era !== undefined;
    if (isInitialize) return isBegun ? 'the session is already initialized' : undefined;
    return isBegun || message.method === 'ping' ? undefined : 'initialize must come first';
  }

  private awaitHandshake(): void {
    this.era = 'handshake';
    const { handshakeMs } = this.upstream;
    this.startDeadline(handshakeMs, () => {
      // The client is told by the error that answers its request.
      void this.session.close(`The server did not answer initialize within ${handshakeMs / 1000} s`);
    });
  }

  private handshakeAnswered(): void {
    clearTimeout(this.deadline);
    if (this.channel.whyClosed) return;
    if (this.session.protocolVersion !== undefined) this.upstream.onOpened();
    else this.end({ cause: 'completed', message: 'The server refused initialize' });
  }

  /** For one request: takes its answer, and before it whatever belongs to it. */
  private outletFor(onAnswered: () => void): Outlet {
    const { connection } = this;
    let answered = false;
    return {
      get open() {
        return !answered && connection.open;
      },
      deliver: (text, last) => {
        const wait = connection.send(text);
        if (!last) return wait;
        answered = true;
        if (this.channel.whyClosed) this.told = true;
        onAnswered();
        return wait;
      },
    };
  }

  private startDeadline(ms: number, expire: () => void): void {
    clearTimeout(this.deadline);
    this.deadline = setTimeout(expire, ms);
  }

  private end(why: ConnectionEnd): void {
    this.ending ??= why;
    if (this.era === 'modern') this.conclude(this.ending);
    // It has its own deadlines and never rejects.
    else void this.session.close();
  }

  private finish(why: ChannelClosed): void {
    if (this.era !== 'modern') this.conclude(this.ending ?? { cause: 'server_failed', message: why.message });
  }

  private conclude(end: ConnectionEnd): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.deadline);
    this.modern.cancelAll();
    if (!this.told && (end.cause === 'server_failed' || end.cause === 'policy')) {
      void this.connection.send(errorText('null', { code: RPC.serverError, message: end.message }));
    }
    this.connection.end(end);
    this.endings.closed();
  }
}

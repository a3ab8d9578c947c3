import { AppError } from '../../../errors/app-error.js';
import type { Channel, ChannelClosed } from '../../channels/channel.js';
import { type Envelope, type ParsedBody, rawSlot, type Request } from '../../jsonrpc/envelope.js';
import { InvalidMessageError } from '../../jsonrpc/invalid-message.error.js';
import { errorText, RPC } from '../../jsonrpc/json-rpc.js';
import type { Era } from '../../modern/era.js';
import { hasModernClaim } from '../../modern/modern-request.js';
import type { WarmServers } from '../../modern/warm-servers.js';
import type { Outlet } from '../../sessions/outlet.js';
import { Session } from '../../sessions/session.js';
import type { LiveSession } from '../../sessions/session-directory.js';
import type { Call } from '../calls/call.js';
import type { TraceContext } from '../calls/trace-context.js';
import { EdgeError, rpcErrorText } from '../http/http-reply.js';
import type { Upstream } from '../upstream.js';
import type { ClientConnection, ConnectionEnd } from './client-connection.js';
import { ModernRequests } from './modern-requests.js';

/** For the client to send `initialize`; enough for a person who types it. */
const INITIALIZE_MS = 60_000;

/** A session's entry in the session directory. */
interface Place {
  readonly id: string;
  /** A message came. */
  touch(): void;
  /** It goes on without a server process of its own. */
  vacate(): void;
  /** It needs one again. Throws `session_limit`. */
  occupy(): void;
  /** It is over, which may be at once. */
  remove(): void;
}

/**
 * A session that is one connection of its client: everything the server says goes there, and they end together. Server
 * processes come and go beneath it.
 */
export class ConnectionSession implements LiveSession {
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
    channel: Channel,
    private readonly connection: ClientConnection,
    private readonly upstream: Upstream,
    servers: WarmServers,
    private readonly place: Place,
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
    this.session = new Session(channel, {
      ambient: this.ambient,
      reopen: (signal) => this.reopen(signal),
      handshakeMs: () => upstream.handshakeMs,
      untilJoined: () => upstream.untilJoined(),
      changed: () => undefined,
      lost: () => place.vacate(),
      closed: (why) => this.finish(why),
      outlivesSilence: true,
    });
  }

  get inFlight(): number {
    return this.session.inFlight + this.modern.inFlight;
  }

  get inFlightElsewhere(): number {
    return this.modern.inFlight;
  }

  get connected(): boolean {
    return this.connection.open;
  }

  /** True when it is over. */
  get closed(): boolean {
    return this.over;
  }

  /**
   * Relay what the client sent; `trace`: what it belongs to, where its transport says. A promise asks it to wait until the server has read enough. Throws
   * `InvalidMessageError`, at once, for what cannot be relayed and is no request that could be answered with an error.
   */
  receive({ batch, messages }: ParsedBody, trace?: TraceContext): Promise<void> | undefined {
    this.place.touch();
    // Batches exist in one revision only.
    if (batch && this.session.protocolVersion !== '2025-03-26') {
      throw new InvalidMessageError('this revision has no batches');
    }
    const [first] = messages;
    return first && messages.length === 1 ? this.relay(first, trace) : this.relayAll(messages, trace);
  }

  /** The client is gone. */
  leave(): void {
    this.end({ cause: 'completed', message: 'The client has left' });
  }

  /** As of `Session`; those of the modern era are given up by their server. */
  expireCalls(since: number): void {
    this.session.expireCalls(since);
  }

  /** End the server process; the connection stays. As of `Session`. */
  sleep(why: string): Promise<void> {
    return this.session.sleep(why);
  }

  /** As of `Session`; of the modern era the servers do. */
  async rejoin(): Promise<void> {
    if (this.era === 'handshake') await this.session.rejoin();
  }

  /** End it, because the deployment is deleted or the service stops. Like `Session.close`. */
  close(): Promise<void> {
    this.end({ cause: 'going_away', message: 'The deployment is gone, or the service stops' });
    return this.session.close();
  }

  private async relayAll(messages: Envelope[], trace: TraceContext | undefined): Promise<void> {
    for (const message of messages) await this.relay(message, trace);
  }

  private relay(message: Envelope, trace: TraceContext | undefined): Promise<void> | undefined {
    if (message.kind === 'request') return this.request(message, trace);
    if (this.era === 'modern') return this.modernNotice(message);
    if (this.era === undefined) throw new InvalidMessageError('initialize must come first');
    return this.session.fromClient(message, this.ambient);
  }

  private request(asked: Request, trace: TraceContext | undefined): Promise<void> | undefined {
    const { calls, owner } = this.upstream;
    const { call, request: message } = calls.begin(this.connection.edge, owner.deploymentId, asked, trace);
    const isInitialize = message.method === 'initialize';
    if (this.era === 'modern' || (this.era === undefined && hasModernClaim(message))) {
      return this.modernRequest(message, call);
    }
    const refusal = this.refusalOf(message, isInitialize);
    if (refusal !== undefined) {
      call.refused(new EdgeError(400, refusal));
      const error = { code: RPC.invalidRequest, message: `Invalid Request: ${refusal}` };
      return this.connection.send(errorText(message.rawId, error));
    }
    if (isInitialize) this.awaitHandshake();
    const release = this.upstream.lease();
    const outlet = this.outletFor(call, () => {
      release();
      this.place.touch();
      if (isInitialize) this.handshakeAnswered();
    });
    // The end of the connection is that of the session, which ends the waiting.
    const waking = this.session.ready(undefined, message);
    return waking
      ? this.requestAfter(waking, message, outlet, call)
      : this.session.fromClient(message, outlet);
  }

  private async requestAfter(
    waking: Promise<void>,
    message: Request,
    outlet: Outlet,
    call: Call,
  ): Promise<void> {
    try {
      await waking;
      this.upstream.onOpened();
    } catch (error) {
      call.refused(error);
      const known = error instanceof AppError || error instanceof EdgeError;
      const told = known ? error : new AppError('internal_error', { cause: error });
      await outlet.deliver(rpcErrorText(told, message.rawId), true);
      return;
    }
    await this.session.fromClient(message, outlet);
  }

  private async reopen(signal: AbortSignal): Promise<Channel> {
    // Given back by `lost`, whatever becomes of it.
    this.place.occupy();
    return this.upstream.openChannel(signal, this.place.id);
  }

  private modernRequest(message: Request, call: Call): Promise<void> {
    if (this.era === undefined) this.leaveHandshake();
    return this.modern.request(message, call);
  }

  /** Requests of the modern era go to a server that is kept for the principal; the one of this connection is not needed. */
  private leaveHandshake(): void {
    this.era = 'modern';
    clearTimeout(this.deadline);
    // It has its own deadlines and never rejects.
    void this.session.close();
    this.place.vacate();
    // It may have been the spare one that the next session counts on.
    this.upstream.onOpened();
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
    if (this.session.whyClosed) return;
    if (this.session.protocolVersion !== undefined) this.upstream.onOpened();
    else this.end({ cause: 'completed', message: 'The server refused initialize' });
  }

  /** For one request: takes its answer, and before it whatever belongs to it. */
  private outletFor(call: Call, onAnswered: () => void): Outlet {
    const { connection } = this;
    let answered = false;
    return {
      get open() {
        return !answered && connection.open;
      },
      deliver: (text, last) => {
        const wait = connection.send(text);
        if (!last) return wait;
        call.answered(text);
        answered = true;
        if (this.session.whyClosed) this.told = true;
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
    this.place.remove();
  }
}

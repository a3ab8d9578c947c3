import { Channel, type ChannelClosed, type ChannelHandlers } from '../channels/channel.js';
import { type Envelope, parseMessage, rawSlot, type Request, type Response } from '../jsonrpc/envelope.js';
import { notificationText, requestText, RPC } from '../jsonrpc/json-rpc.js';
import type { ClientInfo } from '../sessions/handshake.js';
import { BridgedCalls } from './bridged-calls.js';
import { type HandshakeFacts, readHandshake } from './handshake-facts.js';
import { Listens } from './listens.js';
import { errorLine } from './modern-answer.js';
import { partsOf } from './modern-request-parts.js';
import type { RequestSeal } from './request-seal.js';

const REVISION = '2025-11-25';
/** What can be asked of clients of the modern era, and so be passed on. */
const CAPABILITIES = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };
/** Messages that wait for the handshake. */
const MAX_WAITING = 1000;
/** Subscriptions that a server may leave unanswered; of more the first ones are not waited for. */
const MAX_SUBSCRIBING = 10_000;
/** Methods of the handshake era that the modern one has not (2026-07-28, changelog). */
const REMOVED = /^(initialize|ping|logging\/setLevel|resources\/(un)?subscribe|tasks\/.*)$/;

export interface ModernTranslation {
  clientInfo: ClientInfo;
  /** How long the server may take to answer `initialize`. */
  handshakeMs: number;
  seal: RequestSeal;
  /** Whose requests come, as one comparable string; nobody else's continue a parked call. */
  principal: string;
  now?: () => number;
}

/**
 * A handshake-era server that looks like one of the modern era over stdio. It shakes hands once; then requests with the
 * modern envelope are translated, and what the server asks of its client during a call becomes the call's answer
 * (`input_required`).
 *
 * The server does not say on which request's behalf it asks or logs: of tools/call, prompts/get and resources/read there
 * should be one in flight, parked ones included, whose client can be asked or wants log messages. Where there are more,
 * the server is refused and its log messages are dropped.
 */
export class HandshakeServerAsModern extends Channel {
  private handlers: ChannelHandlers | undefined;
  private facts: HandshakeFacts | undefined;
  private waiting: Envelope[] = [];
  private readonly shaken: Promise<void>;
  private settleShaken: () => void = () => undefined;
  private deadline: NodeJS.Timeout | undefined;
  private handshakeId = 0;
  private nextId = 1;
  private readonly calls: BridgedCalls;
  private readonly listens: Listens;
  /** Subscriptions that the server has not answered, by our id. */
  private readonly subscribing = new Map<string, (granted: boolean) => void>();

  constructor(
    private readonly inner: Channel,
    private readonly options: ModernTranslation,
  ) {
    super();
    this.shaken = new Promise((resolve) => (this.settleShaken = resolve));
    this.calls = new BridgedCalls({
      seal: options.seal,
      principal: options.principal,
      now: options.now ?? Date.now,
      toClient: (text) => this.toClient(text),
      toServer: (text) => this.toServer(text),
      tellServer: (method, params) => this.tellServer(method, params),
      takeId: () => this.nextId++,
    });
    this.listens = new Listens({
      toClient: (text) => this.toClient(text),
      subscribe: (uri, agreed) => {
        const [oldest] = this.subscribing.keys();
        if (oldest !== undefined && this.subscribing.size >= MAX_SUBSCRIBING) this.subscribing.delete(oldest);
        this.subscribing.set(String(this.nextId), agreed);
        this.tellServer('resources/subscribe', { uri });
      },
      unsubscribe: (uri) => this.tellServer('resources/unsubscribe', { uri }),
      untilHeard: () => inner.untilHeard(),
    });
  }

  get lastWords(): string {
    return this.inner.lastWords;
  }

  get whyClosed(): ChannelClosed | undefined {
    return this.inner.whyClosed;
  }

  /** Calls that the server has open while their clients answer its questions. */
  get parkedCalls(): number {
    return this.calls.parkedCalls;
  }

  /** Whether this `requestState` belongs to a call that is parked here; the request that carries it must come here then. */
  holds(requestState: string): boolean {
    return this.calls.holds(requestState);
  }

  open(handlers: ChannelHandlers): void {
    this.handlers = handlers;
    this.inner.open({ message: (message) => this.fromServer(message), closed: (why) => this.finish(why) });
    if (this.inner.whyClosed) return;
    const { clientInfo, handshakeMs } = this.options;
    this.deadline = setTimeout(() => {
      void this.inner.close(`The server did not answer initialize within ${handshakeMs / 1000} s`);
    }, handshakeMs);
    this.handshakeId = this.nextId++;
    const params = { protocolVersion: REVISION, capabilities: CAPABILITIES, clientInfo };
    void this.inner.send(requestText(this.handshakeId, 'initialize', params));
  }

  send(text: string): Promise<void> | undefined {
    const why = this.inner.whyClosed;
    if (why) throw new Error(why.message);
    const message = parseMessage(text);
    if (this.facts) return this.fromClient(message, this.facts);
    if (this.waiting.length < MAX_WAITING) {
      this.waiting.push(message);
      return this.shaken;
    }
    if (message.kind !== 'request') return undefined;
    const busy = `More than ${MAX_WAITING} messages wait for the server to start`;
    return this.toClient(errorLine(message.rawId, RPC.serverError, busy));
  }

  close(fault?: string): Promise<void> {
    if (!this.inner.whyClosed && fault === undefined) this.listens.end();
    return this.inner.close(fault);
  }

  private fromClient(message: Envelope, facts: HandshakeFacts): Promise<void> | undefined {
    if (message.kind === 'request') return this.request(message, facts);
    // Of responses and other notifications of a client the modern era knows none.
    if (message.kind === 'response' || message.method !== 'notifications/cancelled') return undefined;
    const rawId = rawSlot(message, 'requestId');
    if (rawId !== undefined && !this.listens.cancel(rawId)) this.calls.cancel(rawId);
    return undefined;
  }

  private request(message: Request, facts: HandshakeFacts): Promise<void> | undefined {
    const { rawId, method } = message;
    if (REMOVED.test(method)) {
      const text = `Method not found: ${method.slice(0, 100)} is not in this revision`;
      return this.toClient(errorLine(rawId, RPC.methodNotFound, text));
    }
    if (method === 'server/discover') {
      return this.toClient(`{"jsonrpc":"2.0","id":${rawId},"result":${facts.discovered}}`);
    }
    const parts = partsOf(message);
    if (method === 'subscriptions/listen') {
      return this.listens.open(rawId, parts.rawNotifications, facts.tells);
    }
    return this.calls.request(message, parts);
  }

  private fromServer(message: Envelope): Promise<void> | undefined {
    if (message.kind === 'response') {
      if (!this.facts && Number(message.rawId) === this.handshakeId) return this.shake(message);
      return this.subscribed(message) ? undefined : this.calls.answer(message);
    }
    if (message.kind === 'request') {
      if (message.method !== 'ping') return this.calls.push(message);
      return this.toServer(`{"jsonrpc":"2.0","id":${message.rawId},"result":{}}`);
    }
    switch (message.method) {
      case 'notifications/progress':
        return this.calls.progress(message);
      case 'notifications/message':
        return this.calls.log(message);
      case 'notifications/cancelled':
        this.calls.withdraw(message);
        return undefined;
      default:
        return this.listens.tell(message);
    }
  }

  /** False: the answer is about something else. */
  private subscribed({ rawId, error }: Response): boolean {
    const agreed = this.subscribing.get(rawId);
    this.subscribing.delete(rawId);
    agreed?.(error === undefined);
    return agreed !== undefined;
  }

  private shake(answer: Response): undefined {
    clearTimeout(this.deadline);
    const facts = readHandshake(answer);
    if (typeof facts === 'string') {
      void this.inner.close(facts);
      return;
    }
    this.facts = facts;
    this.calls.learn(facts);
    void this.toServer(notificationText('notifications/initialized'));
    for (const message of this.waiting.splice(0)) void this.fromClient(message, facts);
    this.settleShaken();
  }

  private tellServer(method: string, params: object): void {
    const isNotification = method.startsWith('notifications/');
    void this.toServer(
      isNotification ? notificationText(method, params) : requestText(this.nextId++, method, params),
    );
  }

  private toServer(text: string): Promise<void> | undefined {
    return this.inner.whyClosed ? undefined : this.inner.send(text);
  }

  /** What goes wrong with one message must end this conversation and no other. */
  private toClient(text: string): Promise<void> | undefined {
    if (this.inner.whyClosed) return undefined;
    try {
      return this.handlers?.message(parseMessage(text));
    } catch (error) {
      void this.inner.close(`A message to the client could not be handled: ${String(error)}`);
      return undefined;
    }
  }

  private finish(why: ChannelClosed): void {
    clearTimeout(this.deadline);
    this.waiting = [];
    this.calls.clear();
    this.listens.clear();
    this.subscribing.clear();
    this.settleShaken();
    this.handlers?.closed(why);
  }
}

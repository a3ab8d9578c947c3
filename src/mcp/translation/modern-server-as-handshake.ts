import { Channel, type ChannelClosed, type ChannelHandlers } from '../channels/channel.js';
import {
  type Envelope,
  type Notification,
  parseMessage,
  rawMembers,
  rawSlot,
  type Request,
  type Response,
  stringIn,
} from '../jsonrpc/envelope.js';
import { errorText, notificationText, requestText, RPC } from '../jsonrpc/json-rpc.js';
import { scanObject, startOf } from '../jsonrpc/json-scanner.js';
import { AskingCalls } from './asking-calls.js';
import { ClientEnvelope } from './client-envelope.js';
import { errorLine } from './modern-answer.js';
import { negotiated, readDiscovery } from './modern-facts.js';
import { levelIn } from './modern-request-parts.js';
import { SessionListen } from './session-listen.js';

/** Methods that a handshake-era client cannot mean, or that became an extension that is not bridged. */
const UNKNOWN = /^(server\/discover|subscriptions\/.*|tasks\/.*)$/;
const DEFAULT_LEVEL = '"info"';

export interface HandshakeTranslation {
  /** How long the server may take to answer `server/discover`, and to acknowledge a subscription. */
  handshakeMs: number;
}

/**
 * A modern server that looks like one of the handshake era to the one session that uses it: `initialize` is answered from
 * `server/discover`, each request gets the envelope that says again what the client said then, and `input_required`
 * becomes requests to the client.
 */
export class ModernServerAsHandshake extends Channel {
  private handlers: ChannelHandlers | undefined;
  /** Undefined until the client has sent `initialize`. */
  private session: { envelope: ClientEnvelope; calls: AskingCalls } | undefined;
  private listen: SessionListen | undefined;
  private hasBegun = false;
  private discovery: { id: number; rawId: string; version: string; deadline: NodeJS.Timeout } | undefined;
  private nextId = 1;

  constructor(
    private readonly inner: Channel,
    private readonly options: HandshakeTranslation,
  ) {
    super();
  }

  get lastWords(): string {
    return this.inner.lastWords;
  }

  get whyClosed(): ChannelClosed | undefined {
    return this.inner.whyClosed;
  }

  open(handlers: ChannelHandlers): void {
    this.handlers = handlers;
    this.inner.open({ message: (message) => this.fromServer(message), closed: (why) => this.finish(why) });
  }

  send(text: string): Promise<void> | undefined {
    const why = this.inner.whyClosed;
    if (why) throw new Error(why.message);
    const message = parseMessage(text);
    if (message.kind === 'response') return this.session?.calls.reply(message);
    return message.kind === 'request' ? this.request(message) : this.notified(message);
  }

  close(fault?: string): Promise<void> {
    return this.inner.close(fault);
  }

  private request(message: Request): Promise<void> | undefined {
    const { rawId, method } = message;
    if (method === 'ping') return this.succeed(rawId);
    if (method === 'initialize') return this.initialize(message);
    if (!this.session) {
      return this.toClient(errorLine(rawId, RPC.invalidRequest, 'The first request must be initialize'));
    }
    const { params } = scanObject(message.text, startOf(message.text), ['params']).members;
    const { uri, level } = rawMembers(message, params, ['uri', 'level']);
    if (method === 'logging/setLevel') {
      if (levelIn(level) === undefined) return this.refuse(rawId, 'level is none of the log levels');
      this.session.envelope.rawLevel = level;
      return this.succeed(rawId);
    }
    if (method === 'resources/subscribe' || method === 'resources/unsubscribe') {
      const watched = stringIn(uri);
      if (watched === undefined) return this.refuse(rawId, 'uri must be a string');
      if (!this.listen) return this.refuse(rawId, 'initialize is not answered yet');
      return method === 'resources/subscribe'
        ? this.listen.subscribe(rawId, watched)
        : this.listen.unsubscribe(rawId, watched);
    }
    if (UNKNOWN.test(method)) {
      const text = `Method not found: ${method.slice(0, 100)}`;
      return this.toClient(errorLine(rawId, RPC.methodNotFound, text));
    }
    return this.session.calls.request(message);
  }

  private initialize(message: Request): Promise<void> | undefined {
    const { rawId, text } = message;
    if (this.session) {
      return this.toClient(errorLine(rawId, RPC.invalidRequest, 'The session is initialized already'));
    }
    const { params } = scanObject(text, startOf(text), ['params']).members;
    const { protocolVersion } = rawMembers(message, params, ['protocolVersion']);
    const envelope = new ClientEnvelope(message);
    const calls = new AskingCalls({
      envelope,
      toClient: (answer) => this.toClient(answer),
      toServer: (request) => this.toServer(request),
      takeId: () => this.nextId++,
    });
    this.session = { envelope, calls };
    const { handshakeMs } = this.options;
    const deadline = setTimeout(() => {
      void this.inner.close(`The server did not answer server/discover within ${handshakeMs / 1000} s`);
    }, handshakeMs);
    const id = this.nextId++;
    this.discovery = { id, rawId, version: negotiated(stringIn(protocolVersion)), deadline };
    return this.toServer(envelope.wrap(requestText(id, 'server/discover', {}), id));
  }

  private notified(message: Notification): Promise<void> | undefined {
    // Of the others the modern era knows none.
    if (message.method === 'notifications/initialized') {
      this.hasBegun = true;
      this.listen?.start();
    }
    if (message.method !== 'notifications/cancelled') return undefined;
    const rawId = rawSlot(message, 'requestId');
    if (
      rawId === undefined ||
      this.session?.calls.cancel(rawId, 'The client cancelled the request') === true
    ) {
      return undefined;
    }
    this.listen?.forget(rawId);
    return undefined;
  }

  private fromServer(message: Envelope): Promise<void> | undefined {
    if (message.kind === 'response') return this.answer(message);
    if (message.kind === 'request') {
      if (message.method === 'ping')
        return this.toServer(`{"jsonrpc":"2.0","id":${message.rawId},"result":{}}`);
      const error = { code: RPC.methodNotFound, message: 'Servers of this revision send no requests' };
      return this.toServer(errorText(message.rawId, error));
    }
    switch (message.method) {
      case 'notifications/subscriptions/acknowledged':
        return this.listen?.acknowledged(message);
      case 'notifications/cancelled':
        this.listen?.ended(Number(rawSlot(message, 'requestId')));
        return undefined;
      case 'notifications/progress':
      case 'notifications/message':
        return this.toClient(message.text);
      default:
        return this.listen?.tell(message);
    }
  }

  private answer(message: Response): Promise<void> | undefined {
    const id = Number(message.rawId);
    if (id === this.discovery?.id) return this.discovered(message);
    if (this.listen?.ended(id, message) === true) return undefined;
    return this.session?.calls.answer(message);
  }

  private discovered(answer: Response): Promise<void> | undefined {
    const { discovery, session } = this;
    if (!discovery || !session) return undefined;
    clearTimeout(discovery.deadline);
    this.discovery = undefined;
    const facts = readDiscovery(answer);
    if (typeof facts === 'string') {
      // The client hears it first, then that the session is over.
      void this.toClient(errorLine(discovery.rawId, RPC.internalError, facts));
      void this.inner.close(facts);
      return undefined;
    }
    // Servers of the handshake era log without being asked, and their clients expect it.
    if (facts.canLog) session.envelope.rawLevel ??= DEFAULT_LEVEL;
    this.listen = new SessionListen(facts.tells, {
      answerMs: this.options.handshakeMs,
      takeId: () => this.nextId++,
      listen: (id, notifications) => {
        const request = requestText(id, 'subscriptions/listen', { notifications });
        void this.toServer(session.envelope.wrap(request, id));
      },
      cancel: (requestId) => {
        const reason = 'Another subscription has taken its place';
        void this.toServer(notificationText('notifications/cancelled', { requestId, reason }));
      },
      toClient: (text) => this.toClient(text),
    });
    if (this.hasBegun) this.listen.start();
    const { rawId, version } = discovery;
    return this.toClient(
      `{"jsonrpc":"2.0","id":${rawId},"result":{"protocolVersion":"${version}",${facts.initialized}}}`,
    );
  }

  private succeed(rawId: string): Promise<void> | undefined {
    return this.toClient(`{"jsonrpc":"2.0","id":${rawId},"result":{}}`);
  }

  private refuse(rawId: string, problem: string): Promise<void> | undefined {
    return this.toClient(errorLine(rawId, RPC.invalidParams, `Invalid params: ${problem}`));
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
    clearTimeout(this.discovery?.deadline);
    this.session?.calls.clear();
    this.listen?.clear();
    this.handlers?.closed(why);
  }
}

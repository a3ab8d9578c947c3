import { rawMembers, type Request, type Response, stringIn } from '../jsonrpc/envelope.js';
import { notificationText } from '../jsonrpc/json-rpc.js';
import type { ClientInfo } from '../sessions/handshake.js';
import { readCapabilities } from '../translation/asked-capability.js';
import { hasCapability } from '../translation/handshake-facts.js';
import { TASKS } from '../translation/meta-keys.js';
import { changed } from '../translation/object-change.js';
import type { AskServer } from './ask-server.js';
import type { Outbox } from './outbox.js';
import { paramOf } from '../jsonrpc/param.js';
import type { VirtualChannel } from './virtual-channel.js';

/** The newest of the handshake era: what the server is asked for, whoever comes first. */
const REVISION = '2025-11-25';
const OLDER_REVISIONS = ['2024-11-05', '2025-03-26', '2025-06-18'];

/**
 * What can be routed: sampling and elicitation while one session alone has requests in flight. Not roots, which servers
 * ask for when nothing is in flight, so that nobody can be named; not tasks, whose ids are known to all sessions.
 */
const CAPABILITIES = { sampling: { tools: {} }, elicitation: { form: {}, url: {} } };

/** Longer than the answer to `initialize` of any server that was met, instructions included. */
const MAX_ANSWER_CHARS = 1 << 20;

/** What the server said of itself. */
interface Facts {
  protocolVersion: string;
  /** The InitializeResult that sessions get, as JSON text. */
  result: string;
  hasTasks: boolean;
  canLog: boolean;
}

interface Waiter {
  session: VirtualChannel;
  rawId: string;
  asked: string | undefined;
}

export interface HandshakeOptions {
  clientInfo: ClientInfo;
  /** How long the server may take to answer `initialize`. */
  handshakeMs: number;
}

/**
 * The one handshake with a server process that many sessions use: the first `initialize` starts it, those that come
 * meanwhile wait for it, later ones get the same result. A refusal is passed on and the next session tries again.
 *
 * Of the server's capabilities `tasks` is left out: a task outlives its request, and its id would be good in all sessions.
 * The rest works: lists and their changes, completions and resources as ever, subscriptions by a table, and log messages
 * as far as it can be told whose they are. Experimental ones are the server's word and stay.
 */
export class SharedHandshake {
  facts: Facts | undefined;
  private waiting: Waiter[] = [];
  private underWay: { over: Promise<void>; finish: () => void } | undefined;

  /** @param onFault the server cannot be worked with */
  constructor(
    private readonly options: HandshakeOptions,
    private readonly ask: AskServer,
    private readonly outbox: Outbox,
    private readonly onFault: (fault: string) => void,
  ) {}

  /** Settles when the handshake that is under way is over, whatever its result. */
  get over(): Promise<void> | undefined {
    return this.underWay?.over;
  }

  initialize(session: VirtualChannel, request: Request): Promise<void> | undefined {
    session.capabilities = readCapabilities(paramOf(request, 'capabilities'));
    const waiter = { session, rawId: request.rawId, asked: stringIn(paramOf(request, 'protocolVersion')) };
    if (this.facts) {
      this.welcome(waiter, this.facts);
      return undefined;
    }
    session.state = 'waiting';
    this.waiting.push(waiter);
    return this.underWay ? undefined : this.start();
  }

  /** The process is gone; the sessions are told by that. */
  close(): void {
    this.waiting = [];
    this.underWay?.finish();
    this.underWay = undefined;
  }

  private start(): Promise<void> | undefined {
    this.underWay = newUnderWay();
    const { clientInfo, handshakeMs } = this.options;
    const params = { protocolVersion: REVISION, capabilities: CAPABILITIES, clientInfo };
    return this.ask.ask('initialize', params, (answer) => this.settle(answer), handshakeMs);
  }

  private settle(answer: Response | undefined): void {
    const facts = this.read(answer);
    if (typeof facts === 'string') {
      this.onFault(facts);
      return;
    }
    this.facts = facts;
    const waiting = this.waiting;
    this.waiting = [];
    if (facts) void this.outbox.send(notificationText('notifications/initialized'));
    for (const waiter of waiting) {
      if (facts) {
        this.welcome(waiter, facts);
        continue;
      }
      waiter.session.state = 'new';
      waiter.session.reply(this.ask.answerTo(waiter.rawId, answer));
    }
    this.underWay?.finish();
    this.underWay = undefined;
  }

  /** None where the server refused; a string says what is wrong with its answer. */
  private read(answer: Response | undefined): Facts | string | undefined {
    if (!answer) {
      return `The server did not answer initialize within ${this.options.handshakeMs / 1000} s`;
    }
    if (answer.text.length > MAX_ANSWER_CHARS) {
      return `The server's answer to initialize has more than ${MAX_ANSWER_CHARS} characters`;
    }
    if (!answer.result) return undefined;
    const raw = rawMembers(answer, answer.result, ['protocolVersion', 'capabilities']);
    const protocolVersion = stringIn(raw.protocolVersion);
    if (protocolVersion === undefined) return "The server's answer to initialize names no protocol version";
    const capabilities = raw.capabilities ?? '{}';
    const result = changed(answer.text.slice(answer.result.start, answer.result.end), {
      within: {
        capabilities: {
          drop: (name) => name === 'tasks',
          within: { extensions: { drop: (name) => name === TASKS } },
        },
      },
    });
    return {
      protocolVersion,
      result,
      hasTasks: hasCapability(capabilities, 'tasks'),
      canLog: hasCapability(capabilities, 'logging'),
    };
  }

  /**
   * A client that knows only an older revision is given that one, since it would leave otherwise. Revisions add to what
   * servers may say, hardly any server says less in an old one, and the edges do what is different on the wire.
   */
  private welcome({ session, rawId, asked }: Waiter, { protocolVersion, result }: Facts): void {
    session.state = 'shaken';
    const isOlder = asked !== undefined && OLDER_REVISIONS.includes(asked) && asked < protocolVersion;
    const given = isOlder ? changed(result, { put: { protocolVersion: JSON.stringify(asked) } }) : result;
    session.reply(`{"jsonrpc":"2.0","id":${rawId},"result":${given}}`);
  }
}

function newUnderWay(): { over: Promise<void>; finish: () => void } {
  let finish!: () => void;
  const over = new Promise<void>((resolve) => (finish = resolve));
  return { over, finish };
}

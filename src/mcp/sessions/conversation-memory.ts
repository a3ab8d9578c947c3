import { type Envelope, type Request, type Response, stringIn, rawMembers } from '../jsonrpc/envelope.js';
import { scanObject, startOf } from '../jsonrpc/json-scanner.js';
import { paramOf } from '../jsonrpc/param.js';
import type { ConversationState } from './conversation-state.js';

/** Of an `initialize`: it is kept for the life of its session. */
export const MAX_INITIALIZE_CHARS = 64 * 1024;
/** Of all URIs together that a client is subscribed to; beyond that the next process is not told of them. */
const MAX_SUBSCRIPTION_CHARS = 64 * 1024;
/** Of a URI, and of the params of a log level. */
const MAX_CHARS = 4096;

/** A request on its way whose answer matters here, with what of it is to be kept. */
interface Asked {
  method: string;
  value: string;
}

/** Follows a conversation for what its next server process has to know. Only what the server agreed to counts. */
export class ConversationMemory {
  private readonly asked = new Map<number, Asked>();
  private readonly subscriptions = new Set<string>();
  private initialize: string | undefined;
  private logLevel: string | undefined;

  /** Negotiated by `initialize`; undefined until it was answered. */
  protocolVersion: string | undefined;

  /** @param onChange called after each change, once `initialize` was answered */
  constructor(
    private readonly onChange: (state: ConversationState) => void,
    known?: ConversationState,
  ) {
    this.initialize = known?.initialize;
    this.protocolVersion = known?.protocolVersion;
    this.logLevel = known?.logLevel;
    for (const uri of known?.subscriptions ?? []) this.subscriptions.add(uri);
  }

  /** Undefined: there is no conversation yet that could go on. */
  get state(): ConversationState | undefined {
    const { initialize, protocolVersion, logLevel } = this;
    if (initialize === undefined || protocolVersion === undefined) return undefined;
    return { initialize, protocolVersion, logLevel, subscriptions: [...this.subscriptions] };
  }

  /** A request is on its way, under this number of ours. */
  note(id: number, request: Request): void {
    const value = valueOf(request);
    if (value !== undefined) this.asked.set(id, { method: request.method, value });
  }

  /** It is answered. */
  settle(id: number, answer: Response): void {
    const asked = this.asked.get(id);
    if (!asked) return;
    this.asked.delete(id);
    if (answer.result && this.learn(asked, answer) && this.state) this.onChange(this.state);
  }

  /** It will not be answered. */
  forget(id: number): void {
    this.asked.delete(id);
  }

  /** Nothing of what is on its way will be answered. */
  forgetAsked(): void {
    this.asked.clear();
  }

  private learn({ method, value }: Asked, answer: Response): boolean {
    switch (method) {
      case 'initialize': {
        const { protocolVersion } = rawMembers(answer, answer.result, ['protocolVersion']);
        this.protocolVersion = stringIn(protocolVersion);
        this.initialize = value;
        return true;
      }
      case 'logging/setLevel':
        this.logLevel = value;
        return true;
      case 'resources/unsubscribe':
        return this.subscriptions.delete(value);
      default:
        return this.subscribe(value);
    }
  }

  private subscribe(uri: string): boolean {
    const chars = [...this.subscriptions].reduce((sum, known) => sum + known.length, uri.length);
    if (chars > MAX_SUBSCRIPTION_CHARS) return false;
    this.subscriptions.add(uri);
    return true;
  }
}

/** What is to be kept of a request; undefined for most. */
function valueOf(request: Request): string | undefined {
  switch (request.method) {
    case 'initialize':
      return paramsOf(request, MAX_INITIALIZE_CHARS);
    case 'logging/setLevel':
      return paramsOf(request, MAX_CHARS);
    case 'resources/subscribe':
    case 'resources/unsubscribe': {
      const uri = stringIn(paramOf(request, 'uri'));
      return uri === undefined || uri.length > MAX_CHARS ? undefined : uri;
    }
    default:
      return undefined;
  }
}

function paramsOf({ text }: Envelope, maxChars: number): string | undefined {
  const { params } = scanObject(text, startOf(text), ['params']).members;
  if (!params) return '{}';
  if (params.end - params.start > maxChars) return undefined;
  // A copy, because a slice would keep all of the text in memory.
  return Buffer.from(text.slice(params.start, params.end)).toString();
}

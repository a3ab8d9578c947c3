import { type Envelope, type Request, stringIn } from '../jsonrpc/envelope.js';
import { scanObject, startOf, type TextRange } from '../jsonrpc/json-scanner.js';

/** Revisions without a handshake: every request says itself which revision it speaks and what its client can do. */
export const MODERN_REVISIONS: readonly string[] = ['2026-07-28'];

/** Keys of `params._meta` that make up the envelope of such a request. */
export const META = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  logLevel: 'io.modelcontextprotocol/logLevel',
} as const;

/** The request that stays open for what the server says of itself. It is no work in flight: nobody waits for its answer. */
export const LISTEN = 'subscriptions/listen';

/** Methods whose request may be answered by a question to the client (`input_required`). */
const ASKING_METHODS = new Set(['tools/call', 'prompts/get', 'resources/read']);
/** Which of the client's capabilities a server can ask something of. */
const ASKABLE = ['elicitation', 'sampling', 'roots'] as const;
/** Where the resource or tool of a request is named, which the header Mcp-Name repeats. */
const NAMED_BY: Record<string, 'name' | 'uri' | 'taskId'> = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'tasks/get': 'taskId',
  'tasks/update': 'taskId',
  'tasks/cancel': 'taskId',
};

/** A request of the modern era, as far as we have to understand it. */
export interface ModernRequest {
  message: Request;
  /** It may be answered by a question, and its client can answer some. */
  canBeAsked: boolean;
  /** Its handler may log or ask; other methods answer from what the server has at hand. */
  isCall: boolean;
  /** The level from which on the client wants this request's log messages; undefined: none. */
  logLevel: string | undefined;
  /** What `Mcp-Name` must repeat; undefined where the method has no such header or the params no such member. */
  name: string | undefined;
  /** `params.requestState`: what a server asked to be given back with the answers to its questions. */
  requestState: string | undefined;
  /** Where `params.arguments` stands. */
  arguments: TextRange | undefined;
}

/** The members of the envelope, as JSON text; undefined where the request has no `params._meta`. */
export type RawEnvelope = Partial<Record<(typeof META)[keyof typeof META], string>>;

/** Whether a message claims to be of the modern era, rightly or not. */
export function hasModernClaim(message: Envelope): boolean {
  // Most messages are not; finding that out must cost next to nothing.
  if (message.kind !== 'request' || !message.text.includes('protocolVersion')) return false;
  return rawEnvelopeOf(message)[META.protocolVersion] !== undefined;
}

export function rawEnvelopeOf({ text }: Envelope): RawEnvelope {
  const { params } = scanObject(text, startOf(text), ['params']).members;
  const { _meta: meta } = params ? scanObject(text, params.start, ['_meta']).members : {};
  if (!meta) return {};
  const names = Object.values(META);
  const { members } = scanObject(text, meta.start, names);
  const raw: RawEnvelope = {};
  for (const name of names) if (members[name]) raw[name] = cut(text, members[name]);
  return raw;
}

/** Reads a request whose envelope is well-formed. */
export function readModernRequest(message: Request, envelope: RawEnvelope): ModernRequest {
  const { text, method } = message;
  const { params } = scanObject(text, startOf(text), ['params']).members;
  const nameMember = Object.hasOwn(NAMED_BY, method) ? NAMED_BY[method] : undefined;
  const members = params
    ? scanObject(text, params.start, ['name', 'uri', 'taskId', 'requestState', 'arguments']).members
    : {};
  const named = nameMember && members[nameMember];
  const isCall = ASKING_METHODS.has(method);
  return {
    message,
    isCall,
    canBeAsked: isCall && canAnswer(envelope[META.clientCapabilities]),
    logLevel: stringIn(envelope[META.logLevel]),
    name: named && stringIn(cut(text, named)),
    requestState: members.requestState && stringIn(cut(text, members.requestState)),
    arguments: members.arguments,
  };
}

/** Whether a method has an `Mcp-Name` header. */
export function isNamed(method: string): boolean {
  return Object.hasOwn(NAMED_BY, method);
}

function canAnswer(rawCapabilities: string | undefined): boolean {
  if (rawCapabilities === undefined) return false;
  const { members } = scanObject(rawCapabilities, startOf(rawCapabilities), ASKABLE);
  return ASKABLE.some((name) => members[name] !== undefined);
}

function cut(text: string, { start, end }: TextRange): string {
  return text.slice(start, end);
}

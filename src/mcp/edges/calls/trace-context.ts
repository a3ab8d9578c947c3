import type { IncomingHttpHeaders } from 'node:http';
import { parseMessage, rawMembers, type Request, stringIn } from '../../jsonrpc/envelope.js';
import { scanObject, startOf } from '../../jsonrpc/json-scanner.js';
import { changed } from '../../translation/object-change.js';

/** Where in a trace something happens, as W3C Trace Context writes it. Both are valid. */
export interface TraceContext {
  traceparent: string;
  tracestate: string | undefined;
}

/** Version, trace id, parent id, flags; `ff` is no version, and ids of zeros are none. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;
const TRACEPARENT_CHARS = 55;
/** What the recommendation has every participant carry at least; what is longer is left behind. */
const MAX_TRACESTATE_CHARS = 512;
const MAX_TRACESTATE_MEMBERS = 32;
/** `key=value`, or nothing; the key may name a tenant of a system. */
const TRACESTATE_MEMBER =
  /^(?:[a-z\d][a-z\d_*/-]{0,240}(?:@[a-z][a-z\d_*/-]{0,13})?=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])?$/;
/** What is kept and sent again to later processes, which belong to no trace of today. */
const KEPT = new Set(['initialize', 'logging/setLevel', 'subscriptions/listen']);

/** What the headers of a request say; undefined: nothing that is valid. */
export function traceOfHeaders({ traceparent, tracestate }: IncomingHttpHeaders): TraceContext | undefined {
  if (traceparent === undefined) return undefined;
  return traceContext(traceparent, tracestate);
}

/** What a request says itself, in its `_meta`; `malformed`: something that is not valid, and not ours to change. */
export function traceOfRequest(request: Request): TraceContext | 'malformed' | undefined {
  const { text } = request;
  const { params } = scanObject(text, startOf(text), ['params']).members;
  const { _meta: meta } = params ? scanObject(text, params.start, ['_meta']).members : {};
  const { traceparent, tracestate } = rawMembers(request, meta, ['traceparent', 'tracestate']);
  if (traceparent === undefined) return undefined;
  if (traceparent.length > TRACEPARENT_CHARS + 2) return 'malformed';
  const state =
    tracestate !== undefined && tracestate.length <= 2 * MAX_TRACESTATE_CHARS ? tracestate : undefined;
  return traceContext(stringIn(traceparent), stringIn(state)) ?? 'malformed';
}

/** True: it belongs to the trace of the moment it is sent, so it may say so. */
export function canCarryTrace({ method }: Request): boolean {
  return !KEPT.has(method);
}

/** The request with this in its `_meta`, and nothing else changed; itself where there is no place for it. */
export function withTrace(request: Request, { traceparent, tracestate }: TraceContext): Request {
  if (!hasPlace(request)) return request;
  const meta = {
    put: {
      traceparent: JSON.stringify(traceparent),
      ...(tracestate !== undefined && { tracestate: JSON.stringify(tracestate) }),
    },
    // One that belongs to another parent would not fit.
    drop: (name: string): boolean => name === 'tracestate' && tracestate === undefined,
  };
  return parseMessage(changed(request.text, { within: { params: { within: { _meta: meta } } } })) as Request;
}

/** Params and `_meta` are objects by the schema; what is not is for the server to refuse. */
function hasPlace({ text }: Request): boolean {
  const { params } = scanObject(text, startOf(text), ['params']).members;
  if (!params) return true;
  if (text[params.start] !== '{') return false;
  const { _meta: meta } = scanObject(text, params.start, ['_meta']).members;
  return !meta || text[meta.start] === '{';
}

function traceContext(traceparent: unknown, tracestate: unknown): TraceContext | undefined {
  if (typeof traceparent !== 'string' || !TRACEPARENT.test(traceparent)) return undefined;
  return { traceparent, tracestate: isTracestate(tracestate) ? tracestate : undefined };
}

function isTracestate(value: unknown): value is string {
  if (typeof value !== 'string' || value.trim() === '' || value.length > MAX_TRACESTATE_CHARS) return false;
  const members = value.split(',').map((member) => member.trim());
  const keys = members.map((member) => member.split('=', 1)[0]).filter((key) => key !== '');
  return (
    members.length <= MAX_TRACESTATE_MEMBERS &&
    members.every((member) => TRACESTATE_MEMBER.test(member)) &&
    new Set(keys).size === keys.length
  );
}

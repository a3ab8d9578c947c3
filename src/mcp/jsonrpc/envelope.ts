import { InvalidMessageError } from './invalid-message.error.js';
import {
  requireEnd,
  scanArray,
  type ScannedObject,
  scanObject,
  startOf,
  type TextRange,
} from './json-scanner.js';

interface EnvelopeBase {
  /** The message as it was written, without line breaks. */
  text: string;
  /** Where the values stand that routing reads and rewrites. */
  slots: Slots;
}

/**
 * `id` · `requestToken`: params._meta.progressToken, a request's wish for progress · `progressToken` and `requestId`:
 * the same names directly in params, as notifications/progress and notifications/cancelled carry them ·
 * `subscriptionId`: params._meta, the id of the subscriptions/listen request that a notification belongs to.
 */
export type Slot = 'id' | 'requestToken' | 'progressToken' | 'requestId' | 'subscriptionId';

type Slots = Partial<Record<Slot, TextRange>>;

export interface Request extends EnvelopeBase {
  kind: 'request';
  method: string;
  /** The id as it stands in the text, `1` or `"1"`. */
  rawId: string;
}

export interface Notification extends EnvelopeBase {
  kind: 'notification';
  method: string;
}

export interface Response extends EnvelopeBase {
  kind: 'response';
  rawId: string;
  /** Where its result or its error stands; the other one is undefined. */
  result: TextRange | undefined;
  error: TextRange | undefined;
}

export type Envelope = Request | Notification | Response;

export interface ParsedBody {
  /** True when the text was a JSON-RPC batch (an array), which only revision 2025-03-26 has. */
  batch: boolean;
  messages: Envelope[];
}

/** More messages than any client batches; each costs more than its characters. */
const MAX_BATCH = 1000;

const MEMBERS = ['jsonrpc', 'id', 'method', 'params', 'result', 'error'] as const;
const PARAMS = ['_meta', 'progressToken', 'requestId'] as const;
/** Of an id or a progress token; each that is in flight is kept. */
const MAX_ID_CHARS = 1024;
const MIN_SLICE_CHARS = 13;
const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
const META = ['progressToken', SUBSCRIPTION_ID] as const;

type Members = Partial<Record<(typeof MEMBERS)[number], TextRange>>;

/** Parse one message or a batch. Throws `SyntaxError` for what is not JSON, `InvalidMessageError` for other JSON. */
export function parseBody(text: string): ParsedBody {
  const array = scanArray(text, startOf(text));
  if (!array) return { batch: false, messages: [parseMessage(text)] };
  requireEnd(text, array.end);
  if (array.elements.length === 0) throw new InvalidMessageError('A batch must not be empty');
  if (array.elements.length > MAX_BATCH) {
    throw new InvalidMessageError(`A batch must not have more than ${MAX_BATCH} messages`);
  }
  return {
    batch: true,
    messages: array.elements.map(({ start, end }) => parseMessage(text.slice(start, end))),
  };
}

/** Parse one message. Throws like `parseBody`. */
export function parseMessage(text: string): Envelope {
  const start = startOf(text);
  const { members, end } = scanUnambiguous(text, start, MEMBERS);
  requireEnd(text, end);
  if (text[start] !== '{') throw new InvalidMessageError('A message must be a JSON object');
  return classify(withoutLineBreaks(text), members);
}

/** Members of a value in a message, as they stand in the text; none where it is no object. */
export function rawMembers<Name extends string>(
  { text }: Envelope,
  value: TextRange | undefined,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  if (!value) return {};
  const { members } = scanObject(text, value.start, names);
  const raw: Partial<Record<Name, string>> = {};
  for (const name of names) if (members[name]) raw[name] = cut(text, members[name]);
  return raw;
}

/** A string as JSON text, read. Undefined where the text is missing or another kind of value. */
export function stringIn(raw: string | undefined): string | undefined {
  return raw?.startsWith('"') ? (JSON.parse(raw) as string) : undefined;
}

/** The value in a slot as it stands in the text. */
export function rawSlot(message: Envelope, slot: Slot): string | undefined {
  const range = message.slots[slot];
  return range && copyOf(message.text, range);
}

/** The text with JSON put in the place of slots; a slot the message does not have changes nothing. */
export function withSlots(message: Envelope, changes: Partial<Record<Slot, string>>): string {
  const { text, slots } = message;
  let out = '';
  let at = 0;
  const filled = (Object.keys(changes) as Slot[])
    .map((slot) => ({ range: slots[slot], json: changes[slot] ?? 'null' }))
    .filter((change): change is { range: TextRange; json: string } => change.range !== undefined);
  for (const { range, json } of filled.sort((a, b) => a.range.start - b.range.start)) {
    out += text.slice(at, range.start) + json;
    at = range.end;
  }
  return out + text.slice(at);
}

/**
 * Inside valid JSON a line break can only stand between tokens (strings must escape it), so a blank in its place
 * changes nothing, and newline framing and SSE both need text without one.
 */
function withoutLineBreaks(text: string): string {
  return text.includes('\n') || text.includes('\r') ? text.replaceAll(/[\r\n]/g, ' ') : text;
}

function classify(text: string, members: Members): Envelope {
  if (stringAt(text, members.jsonrpc) !== '2.0') {
    throw new InvalidMessageError('The member "jsonrpc" must be "2.0"');
  }
  const { id, result, error } = members;
  const base = { text, slots: locateSlots(text, members) };
  if (members.method) {
    const method = stringAt(text, members.method);
    if (method === undefined) throw new InvalidMessageError('The member "method" must be a string');
    if (!id) return { kind: 'notification', ...base, method };
    return { kind: 'request', ...base, method, rawId: idAt(text, id) };
  }
  if (!result === !error) {
    throw new InvalidMessageError('A message needs "method", or exactly one of "result" and "error"');
  }
  // An error answer to something that could not be read carries no usable id.
  const unknown = !id || cut(text, id) === 'null';
  return { kind: 'response', ...base, rawId: unknown ? 'null' : idAt(text, id), result, error };
}

function locateSlots(text: string, { id, params }: Members): Slots {
  const slots: Slots = {};
  if (id) slots.id = id;
  if (!params) return slots;
  const { _meta, progressToken, requestId } = scanUnambiguous(text, params.start, PARAMS).members;
  if (isIdAt(text, progressToken)) slots.progressToken = progressToken;
  if (isIdAt(text, requestId)) slots.requestId = requestId;
  if (!_meta) return slots;
  const meta = scanUnambiguous(text, _meta.start, META).members;
  if (isIdAt(text, meta.progressToken)) slots.requestToken = meta.progressToken;
  if (isIdAt(text, meta[SUBSCRIPTION_ID])) slots.subscriptionId = meta[SUBSCRIPTION_ID];
  return slots;
}

/** JSON parsers disagree on which of two equal members counts, and both sides must mean the same one. */
function scanUnambiguous<Name extends string>(
  text: string,
  start: number,
  names: readonly Name[],
): ScannedObject<Name> {
  const scanned = scanObject(text, start, names);
  if (scanned.repeated === undefined) return scanned;
  throw new InvalidMessageError(`The member "${scanned.repeated}" stands twice in one object`);
}

function idAt(text: string, range: TextRange): string {
  if (!isIdAt(text, range)) {
    throw new InvalidMessageError(
      `The member "id" must be a string or a number of at most ${MAX_ID_CHARS} characters`,
    );
  }
  return copyOf(text, range);
}

/** Not a slice, which would keep all of the text in memory for as long as the id is in flight. V8 copies short ones. */
function copyOf(text: string, range: TextRange): string {
  const raw = cut(text, range);
  return raw.length < MIN_SLICE_CHARS ? raw : Buffer.from(raw).toString();
}

/** True where a string or a number stands, which is what ids and progress tokens are, and not a long one. */
function isIdAt(text: string, range: TextRange | undefined): range is TextRange {
  return (
    range !== undefined && range.end - range.start <= MAX_ID_CHARS && /["\d-]/.test(text.charAt(range.start))
  );
}

function stringAt(text: string, range: TextRange | undefined): string | undefined {
  return range && stringIn(cut(text, range));
}

function cut(text: string, { start, end }: TextRange): string {
  return text.slice(start, end);
}

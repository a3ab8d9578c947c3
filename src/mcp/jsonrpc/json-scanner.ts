/** A half-open range of characters, `text.slice(start, end)`. */
export interface TextRange {
  start: number;
  end: number;
}

/**
 * Reads JSON text without building what it says: it checks the grammar and tells where values stand, so that an id can
 * be exchanged while numbers of any size, the order of members and unknown fields pass through to the byte. Time grows
 * with the length alone and hardly anything is allocated, whatever the text holds: `JSON.parse` of 16 MB of `{},{},…`
 * takes seconds and a gigabyte, and the control plane has one thread for everybody.
 *
 * All functions throw `SyntaxError` where the text is not JSON.
 */

/** Where the one value of a text begins. */
export function startOf(text: string): number {
  return skipSpace(text, 0);
}

/** Checks that nothing follows the one value of a text. */
export function requireEnd(text: string, end: number): void {
  const at = skipSpace(text, end);
  if (at < text.length) throw unexpected(text, at);
}

export interface ScannedObject<Name extends string> {
  /** Where the members asked for stand; none where the value is no object. Of equal ones the last. */
  members: Partial<Record<Name, TextRange>>;
  /** One of the names that stands more than once. */
  repeated: Name | undefined;
  end: number;
}

export function scanObject<Name extends string>(
  text: string,
  start: number,
  names: readonly Name[],
): ScannedObject<Name> {
  const members: Partial<Record<Name, TextRange>> = {};
  let repeated: Name | undefined;
  if (text.charCodeAt(start) !== OPEN_BRACE) return { members, repeated, end: skipValue(text, start) };
  const end = eachItem(text, start, (item) => {
    const keyEnd = skipString(text, item);
    const valueStart = skipColon(text, keyEnd);
    const valueEnd = skipValue(text, valueStart);
    const name = keyAmong(text, item, keyEnd, names);
    if (name === undefined) return valueEnd;
    if (members[name]) repeated = name;
    members[name] = { start: valueStart, end: valueEnd };
    return valueEnd;
  });
  return { members, repeated, end };
}

/** Tells each member of an object in turn, where its key (with its quotes) and its value stand; none where the value is no object. */
export function eachMember(
  text: string,
  start: number,
  visit: (key: TextRange, value: TextRange) => void,
): void {
  if (text.charCodeAt(start) !== OPEN_BRACE) return;
  eachItem(text, start, (item) => {
    const keyEnd = skipString(text, item);
    const valueStart = skipColon(text, keyEnd);
    const valueEnd = skipValue(text, valueStart);
    visit({ start: item, end: keyEnd }, { start: valueStart, end: valueEnd });
    return valueEnd;
  });
}

/** Where the elements of an array stand, and where it ends; undefined where the value is no array. */
export function scanArray(text: string, start: number): { elements: TextRange[]; end: number } | undefined {
  if (text.charCodeAt(start) !== OPEN_BRACKET) return undefined;
  const elements: TextRange[] = [];
  const end = eachItem(text, start, (item) => {
    const element = { start: item, end: skipValue(text, item) };
    elements.push(element);
    return element.end;
  });
  return { elements, end };
}

const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const LOWER_E = 0x65;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const LOWER_CASE = 0x20;

/** Behind the object or array that starts here. `skipItem` gets the start of each item and returns where it ends. */
function eachItem(text: string, start: number, skipItem: (at: number) => number): number {
  const close = text.charCodeAt(start) + 2;
  let at = skipSpace(text, start + 1);
  if (text.charCodeAt(at) === close) return at + 1;
  for (;;) {
    at = skipSpace(text, skipItem(at));
    if (text.charCodeAt(at) === close) return at + 1;
    if (text.charCodeAt(at) !== COMMA) throw unexpected(text, at);
    at = skipSpace(text, at + 1);
  }
}

/** Behind the value that starts here. A loop with a stack of its own: how deep the text nests is the sender's choice. */
function skipValue(text: string, start: number): number {
  const open: number[] = [];
  let at = start;
  for (;;) {
    const c = text.charCodeAt(at);
    if (c === OPEN_BRACE || c === OPEN_BRACKET) {
      const close = c + 2;
      at = skipSpace(text, at + 1);
      if (text.charCodeAt(at) !== close) {
        open.push(close);
        if (close === CLOSE_BRACE) at = skipKey(text, at);
        continue;
      }
      at++;
    } else {
      at = skipScalar(text, at, c);
    }
    for (;;) {
      const close = open[open.length - 1];
      if (close === undefined) return at;
      at = skipSpace(text, at);
      const next = text.charCodeAt(at);
      if (next === COMMA) {
        at = skipSpace(text, at + 1);
        if (close === CLOSE_BRACE) at = skipKey(text, at);
        break;
      }
      if (next !== close) throw unexpected(text, at);
      open.pop();
      at++;
    }
  }
}

/** From a key to its value. */
function skipKey(text: string, at: number): number {
  return skipColon(text, skipString(text, at));
}

function skipColon(text: string, at: number): number {
  const colon = skipSpace(text, at);
  if (text.charCodeAt(colon) !== COLON) throw unexpected(text, colon);
  return skipSpace(text, colon + 1);
}

function skipScalar(text: string, at: number, first: number): number {
  if (first === QUOTE) return skipString(text, at);
  if (first === MINUS || isDigit(first)) return skipNumber(text, at);
  const literal = ['true', 'false', 'null'].find((word) => text.startsWith(word, at));
  if (literal === undefined) throw unexpected(text, at);
  return at + literal.length;
}

/** Plain characters after which a string is taken for a long one. */
const LONG_RUN = 64;
/** Everything from the blank on, but for the quote and the backslash. */
const PLAIN = /[ !#-[\]-\uffff]*/y;

function skipString(text: string, start: number): number {
  if (text.charCodeAt(start) !== QUOTE) throw unexpected(text, start);
  let at = start + 1;
  for (let run = 0; ;) {
    const c = text.charCodeAt(at);
    if (c === QUOTE) return at + 1;
    if (c === BACKSLASH) {
      at = skipEscape(text, at + 1);
      run = 0;
    } else if (!(c >= 0x20)) {
      throw unexpected(text, at);
    } else if (++run < LONG_RUN) {
      at++;
    } else {
      // Native, because most of a large message is one string.
      PLAIN.lastIndex = at;
      PLAIN.test(text);
      at = PLAIN.lastIndex;
    }
  }
}

/** Behind an escape; `at` is behind its backslash. */
function skipEscape(text: string, at: number): number {
  const c = text.charAt(at);
  if (c === 'u' && /^[\da-f]{4}$/i.test(text.slice(at + 1, at + 5))) return at + 5;
  if (c === '' || !'"\\/bfnrt'.includes(c)) throw unexpected(text, at);
  return at + 1;
}

function skipNumber(text: string, start: number): number {
  let at = text.charCodeAt(start) === MINUS ? start + 1 : start;
  at = text.charCodeAt(at) === ZERO ? at + 1 : skipDigits(text, at);
  if (text.charCodeAt(at) === DOT) at = skipDigits(text, at + 1);
  if ((text.charCodeAt(at) | LOWER_CASE) !== LOWER_E) return at;
  const sign = text.charCodeAt(at + 1);
  return skipDigits(text, sign === PLUS || sign === MINUS ? at + 2 : at + 1);
}

function skipDigits(text: string, start: number): number {
  let at = start;
  while (isDigit(text.charCodeAt(at))) at++;
  if (at === start) throw unexpected(text, at);
  return at;
}

function isDigit(c: number): boolean {
  return c >= ZERO && c <= 0x39;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  for (let c = text.charCodeAt(at); c === 0x20 || c === 0x0a || c === 0x0d || c === 0x09;) {
    c = text.charCodeAt(++at);
  }
  return at;
}

/** The name that a key spells. It may be written with escapes: "\u0069d" is "id". */
function keyAmong<Name extends string>(
  text: string,
  start: number,
  end: number,
  names: readonly Name[],
): Name | undefined {
  const raw = text.slice(start + 1, end - 1);
  const key = raw.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : raw;
  return names.find((name) => name === key);
}

function unexpected(text: string, at: number): SyntaxError {
  const what = at < text.length ? `Unexpected ${JSON.stringify(text[at])}` : 'Unexpected end';
  return new SyntaxError(`${what} at character ${at} of the JSON text`);
}

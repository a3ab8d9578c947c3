import { stackOf } from '../errors/stack-of.js';

const REDACTED = '[redacted]';
const MAX_CHARS = 8192;
/** Of what is searched at all; the rest is far behind what is shown, however much the search takes out. */
const MAX_SEARCHED_CHARS = 1 << 20;
const MAX_ITEMS = 50;
const MAX_DEPTH = 5;

/**
 * Names whose values are never logged, in lower case and without `-` and `_`: credentials by how their names end, and
 * what tenants and clients send by its whole name.
 */
const CREDENTIAL =
  /(key|token|secret|password|passwd|passphrase|authorization|cookie|credentials?|sessionid|dsn|hash)s?$/;
const CONTENT = new Set([
  'env',
  'environment',
  'args',
  'argv',
  'arguments',
  'headers',
  'body',
  'params',
  'input',
]);

/** Credentials inside of a text: what follows a word that announces one, and what looks like one of ours. */
const IN_TEXT: readonly [RegExp, string][] = [
  [/\b(bearer|basic)\s+[\w.~+/=-]+/gi, `$1 ${REDACTED}`],
  [/\bmcp[a-z]{1,2}_[\w-]{16,}/g, REDACTED],
  [
    /(\b(?:session_?id|mcp-session-id|x-api-key|api_?key|access_?token)["']?\s*[=:]\s*["']?)[^\s&"',;]+/gi,
    `$1${REDACTED}`,
  ],
  [/([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/@]+@/gi, `$1${REDACTED}@`],
];

/** Takes out of whatever is to be logged what must not be, and bounds the rest. What a caller forgot does not matter. */
export class Redaction {
  /** @param secrets values that are known, wherever they stand */
  constructor(private readonly secrets: readonly string[] = []) {}

  /** The members of an object as JSON can say them. Never throws, whatever the object does when it is looked at. */
  fields(value: object): Record<string, unknown> {
    try {
      return this.members(value, 0);
    } catch {
      return { unreadable: true };
    }
  }

  text(value: string): string {
    let text = value.slice(0, MAX_SEARCHED_CHARS);
    for (const secret of this.secrets) text = text.replaceAll(secret, REDACTED);
    for (const [pattern, instead] of IN_TEXT) text = text.replace(pattern, instead);
    return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}… (cut)` : text;
  }

  private members(value: object, depth: number): Record<string, unknown> {
    const all = Object.keys(value);
    const members: Record<string, unknown> = {};
    for (const name of all.slice(0, MAX_ITEMS)) {
      const key = this.text(name.slice(0, 200));
      members[key] = this.member(name, (value as Record<string, unknown>)[name], depth);
    }
    if (all.length > MAX_ITEMS) members['…'] = `${all.length - MAX_ITEMS} more`;
    return members;
  }

  private member(name: string, value: unknown, depth: number): unknown {
    // That there is none is no secret.
    if (value === undefined || value === null || typeof value === 'boolean') return value;
    return isSecret(name) ? REDACTED : this.value(value, depth + 1);
  }

  private value(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return this.text(value);
    if (value === null || typeof value === 'boolean' || typeof value === 'number') return value;
    if (typeof value !== 'object')
      return this.text(typeof value === 'bigint' ? String(value) : `[${typeof value}]`);
    if (value instanceof Error) return this.text(stackOf(value));
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? '[no date]' : value.toISOString();
    if (value instanceof URL) return this.text(value.href);
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (depth >= MAX_DEPTH) return '[…]';
    if (!Array.isArray(value)) return this.members(value, depth);
    const items = value.slice(0, MAX_ITEMS).map((item) => this.value(item, depth + 1));
    return value.length > MAX_ITEMS ? [...items, `${value.length - MAX_ITEMS} more`] : items;
  }
}

function isSecret(name: string): boolean {
  const plain = name.toLowerCase().replaceAll(/[-_]/g, '');
  return CONTENT.has(plain) || CREDENTIAL.test(plain);
}

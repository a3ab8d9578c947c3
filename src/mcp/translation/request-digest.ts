import { createHash } from 'node:crypto';
import { eachMember } from '../jsonrpc/json-scanner.js';

/** What differs between a request and its retry, and means the same. */
const NOT_PART_OF_IT = new Set(['_meta', 'inputResponses', 'requestState']);
/** Larger values are compared as they are written: reading them would cost more than the rare client that writes anew. */
const MAX_READ_CHARS = 1 << 16;

/**
 * What a request asks, as 43 characters: equal for requests of one method whose params say the same, in whatever order
 * and notation, but for what a retry adds.
 */
export function digestOf(method: string, text: string, paramsAt: number | undefined): string {
  const members: string[] = [];
  if (paramsAt !== undefined) {
    eachMember(text, paramsAt, (key, value) => {
      const name = canonical(text.slice(key.start, key.end));
      if (NOT_PART_OF_IT.has(JSON.parse(name) as string)) return;
      members.push(`${name}:${canonical(text.slice(value.start, value.end))}`);
    });
  }
  const hash = createHash('sha256').update(JSON.stringify(method));
  for (const member of members.sort()) hash.update('\n').update(member);
  return hash.digest('base64url');
}

function canonical(json: string): string {
  if (json.length > MAX_READ_CHARS) return json;
  try {
    return JSON.stringify(JSON.parse(json), sorted);
  } catch {
    // It nests deeper than the stack.
    return json;
  }
}

function sorted(_name: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

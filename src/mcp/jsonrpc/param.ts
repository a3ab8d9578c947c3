import type { Envelope } from './envelope.js';
import { scanObject, startOf } from './json-scanner.js';

/** A member of a message's `params` as it stands in the text. */
export function paramOf({ text }: Envelope, name: string): string | undefined {
  const { params } = scanObject(text, startOf(text), ['params']).members;
  const range = params && scanObject(text, params.start, [name]).members[name];
  return range && text.slice(range.start, range.end);
}

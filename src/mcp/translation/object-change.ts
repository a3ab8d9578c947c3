import { eachMember, startOf, type TextRange } from '../jsonrpc/json-scanner.js';

/** What to change of an object that stands in JSON text. Everything else keeps its place and its bytes. */
export interface ObjectChange {
  /** Members to take away. */
  drop?: (name: string) => boolean;
  /** Members to have, name → JSON text: in the place of the old value, or new. */
  put?: Record<string, string>;
  /** Members to have where the object does not have them. */
  fill?: Record<string, string>;
  /** What to change inside members that are objects; they are made where there is something to put. */
  within?: Record<string, ObjectChange>;
}

interface Edit extends TextRange {
  json: string;
}

/** The text of an object with a change made. Reads like the scanner, so it costs the same whatever the text holds. */
export function changed(text: string, change: ObjectChange): string {
  const edits: Edit[] = [];
  collect(text, startOf(text), change, edits);
  let out = '';
  let at = 0;
  for (const { start, end, json } of edits.sort((a, b) => a.start - b.start || a.end - b.end)) {
    out += text.slice(at, start) + json;
    at = end;
  }
  return out + text.slice(at);
}

function collect(text: string, start: number, change: ObjectChange, edits: Edit[]): void {
  if (text[start] !== '{') return;
  const { drop, put = {}, within = {} } = change;
  const missing = { ...change.fill, ...put };
  const absent = new Set(Object.keys(within));
  /** Members to be dropped, of which the last is not followed by one that stays yet. */
  let run: TextRange | undefined;
  let keptEnd: number | undefined;
  eachMember(text, start, (key, value) => {
    const name = nameAt(text, key);
    const inner = Object.hasOwn(within, name) ? within[name] : undefined;
    const isObject = text[value.start] === '{';
    // Where something is to be put into a member that is no object, a new one takes its place.
    if (drop?.(name) === true || (inner && !isObject && rendered(inner) !== undefined)) {
      run = { start: run?.start ?? key.start, end: value.end };
      return;
    }
    if (run) edits.push({ start: run.start, end: key.start, json: '' });
    run = undefined;
    keptEnd = value.end;
    if (Object.hasOwn(missing, name)) delete missing[name];
    const json = Object.hasOwn(put, name) ? put[name] : undefined;
    if (json !== undefined) edits.push({ ...value, json });
    else if (inner && isObject) {
      absent.delete(name);
      collect(text, value.start, inner, edits);
    }
  });
  if (run) edits.push({ start: keptEnd ?? start + 1, end: run.end, json: '' });
  const added = membersOf(missing, within, absent);
  if (added.length === 0) return;
  const json = `${added.join(',')}${keptEnd === undefined ? '' : ','}`;
  edits.push({ start: start + 1, end: start + 1, json });
}

/** An object that holds nothing but what is to be put; undefined where that is nothing. */
function rendered({ put, fill, within = {} }: ObjectChange): string | undefined {
  const members = membersOf({ ...fill, ...put }, within, new Set(Object.keys(within)));
  return members.length === 0 ? undefined : `{${members.join(',')}}`;
}

function membersOf(
  put: Record<string, string>,
  within: Record<string, ObjectChange>,
  absent: Set<string>,
): string[] {
  const nested = [...absent].map((name) => [name, rendered(within[name] ?? {})] as const);
  return [...Object.entries(put), ...nested]
    .filter((member): member is [string, string] => member[1] !== undefined)
    .map(([name, json]) => `${JSON.stringify(name)}:${json}`);
}

/** The name that a key spells. It may be written with escapes: "\u0069d" is "id". */
export function nameAt(text: string, { start, end }: TextRange): string {
  const raw = text.slice(start + 1, end - 1);
  return raw.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : raw;
}

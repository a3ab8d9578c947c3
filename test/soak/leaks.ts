import type { Footprint } from './footprint.js';

/** The allocator keeps pages, and more or less of them each time it is looked at. */
const MOST_RSS_RATIO = 1.3;
/** Code that is compiled later, and what is remembered of the newest events. */
const MOST_HEAP_RATIO = 1.15;
const MEBIBYTE = 1024 * 1024;

/** What there is more or less of than before, one line each. */
export function leaksBetween(before: Footprint, after: Footprint): string[] {
  const kinds = [...new Set([...Object.keys(before.counts), ...Object.keys(after.counts)])].sort();
  return [
    ...kinds.flatMap((kind) => {
      const [first = 0, last = 0] = [before.counts[kind], after.counts[kind]];
      return first === last ? [] : [`${kind}: ${first} at the start, ${last} at the end`];
    }),
    ...growth('resident memory', before.memory.rss, after.memory.rss, MOST_RSS_RATIO),
    ...growth('memory outside the heap', before.memory.external, after.memory.external, MOST_HEAP_RATIO),
    ...growth('heap', before.memory.heapUsed, after.memory.heapUsed, MOST_HEAP_RATIO),
  ];
}

function growth(what: string, first: number, last: number, most: number): string[] {
  if (last <= first * most) return [];
  const [from, to] = [first, last].map((bytes) => (bytes / MEBIBYTE).toFixed(1));
  return [`${what}: ${from} MB at the start, ${to} MB at the end, more than ${most} times as much`];
}

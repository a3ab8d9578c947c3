import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { HeapSnapshot } from './heap-snapshot.js';

const DIST = new URL('../../dist', import.meta.url).pathname;
/** Of the platform and of packages; what stays behind of these keeps something open, or somebody waiting. */
const FOREIGN = [
  'ClientRequest',
  'Immediate',
  'IncomingMessage',
  'Server',
  'ServerResponse',
  'Socket',
  'WebSocket',
];

/** How many objects a heap has of each class of the built service, and of some that it uses. */
export function countObjects(heap: HeapSnapshot): Record<string, number> {
  const counts = Object.fromEntries([...FOREIGN, ...ownClasses()].map((known) => [known, 0]));
  for (const object of heap.objects()) {
    const name = heap.nameOf(object);
    if (Object.hasOwn(counts, name)) counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** How many timers run, by the file that has set them; what the platform's own hold open shows elsewhere. */
export function countTimers(heap: HeapSnapshot): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const object of heap.objects()) {
    if (heap.nameOf(object) !== 'Timeout') continue;
    const work = heap.follow(object, '_onTimeout');
    // One that is cleared has none.
    if (work === undefined || heap.nameOf(work) === 'system / Oddball') continue;
    // The second name is that of older versions of V8.
    const script =
      heap.follow(work, 'shared', 'script') ?? heap.follow(work, 'shared', 'script_or_debug_info');
    const path = script === undefined ? '' : heap.nameOf(script);
    if (path === '' || path.startsWith('node:')) continue;
    counts[basename(path)] = (counts[basename(path)] ?? 0) + 1;
  }
  return counts;
}

function ownClasses(): string[] {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.js'),
  );
  return files.flatMap((path) =>
    [...readFileSync(join(DIST, path), 'utf8').matchAll(/^(?:export )?(?:let \w+ = )?class (\w+)/gm)].map(
      ([, name = '']) => name,
    ),
  );
}

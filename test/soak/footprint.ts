import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { kill } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Service } from '../support/service.js';
import { countRows } from '../support/stored-rows.js';
import { countObjects, countTimers } from './heap-objects.js';
import { HeapSnapshot } from './heap-snapshot.js';

const PROBE = new URL('footprint-probe.mjs', import.meta.url).pathname;
const PROBE_MS = 60_000;
const POLL_MS = 20;
const ESTABLISHED = '01';

type Counts = Record<string, number>;

interface Probed {
  memory: NodeJS.MemoryUsage;
  resources: Counts;
  handles: Counts;
  listeners: Counts;
}

/** What the control plane holds at one moment. */
export interface Footprint {
  /** By kind, all that must be the same again when all sessions are gone. */
  counts: Counts;
  /** Bytes, after a collection of garbage. */
  memory: NodeJS.MemoryUsage;
}

/** Environment of a service into which `takeFootprint` can look. */
export function footprintEnv(directory: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${PROBE}`, FOOTPRINT_FILE: join(directory, 'footprint.json') };
}

/** Stops the service for as long as it takes to write its heap to a file. */
export async function takeFootprint(service: Service, directory: string): Promise<Footprint> {
  const file = join(directory, 'footprint.json');
  const heapFile = `${file}.heapsnapshot`;
  const descriptors = countDescriptors(service.pid);
  kill(service.pid, 'SIGUSR2');
  for (const until = Date.now() + PROBE_MS; !existsSync(file); await delay(POLL_MS)) {
    if (Date.now() >= until)
      throw new Error(`The service has not written its footprint within ${PROBE_MS} ms`);
  }
  const { memory, resources, handles, listeners } = JSON.parse(readFileSync(file, 'utf8')) as Probed;
  const heap = new HeapSnapshot(heapFile);
  rmSync(file);
  rmSync(heapFile);
  const counts = {
    ...named('open descriptor', descriptors),
    ...named('active resource', resources),
    ...named('active handle', handles),
    ...named('listener of', listeners),
    ...named('object', countObjects(heap)),
    ...named('timer of', countTimers(heap)),
    ...named('row in', countRows(service)),
  };
  // It has not heard of anybody for as long, and may think that the engine is away.
  await service.untilHealthy();
  return { counts, memory };
}

/** Clients that are connected to the service. */
export function countConnections({ port }: Service): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  return lines.filter((line) => {
    const [, at, , state] = line.trim().split(/\s+/);
    return at === local && state === ESTABLISHED;
  }).length;
}

function countDescriptors(pid: number): Counts {
  const counts: Counts = {};
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    const kind = kindOf(`/proc/${pid}/fd/${name}`);
    if (kind !== undefined) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** `socket`, `pipe`, or the path of a file. Undefined: it was closed just now. */
function kindOf(link: string): string | undefined {
  try {
    return readlinkSync(link).replace(/:\[\d+\]$/, '');
  } catch {
    return undefined;
  }
}

function named(what: string, counts: Counts): Counts {
  return Object.fromEntries(Object.entries(counts).map(([kind, count]) => [`${what} ${kind}`, count]));
}

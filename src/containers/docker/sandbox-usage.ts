import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../errors/app-error.js';
import type { Sandbox, SandboxUsage } from '../sandbox-runtime.js';
import type { Engine } from './engine.js';
import { goneOr } from './sandbox-exec.js';

/** Between the two looks that tell how busy it is. */
const WINDOW_MS = 250;

/** What of the engine's statistics is used; any of it may be missing. Both versions of cgroups. */
export interface EngineStats {
  /** When the numbers were read, with nanoseconds. */
  read?: string;
  pids_stats?: { current?: number; limit?: number };
  cpu_stats?: { cpu_usage?: { total_usage?: number } };
  memory_stats?: {
    usage?: number;
    limit?: number;
    stats?: { total_inactive_file?: number; inactive_file?: number };
  };
  networks?: Record<string, { rx_bytes?: number; tx_bytes?: number }>;
}

/**
 * Two looks, a moment apart. The engine reads its own cgroup files and counts the interface outside the sandbox, so these
 * are the host's numbers of everything the sandbox is made of, gVisor's kernel included. Throws `sandbox_gone`.
 */
export async function usageOf(
  engine: Engine,
  { containerId, limits }: Sandbox,
  signal: AbortSignal,
): Promise<SandboxUsage> {
  const first = await statsOf(engine, containerId, signal);
  await sleep(WINDOW_MS, undefined, { signal });
  return { ...usageBetween(first, await statsOf(engine, containerId, signal)), cpuLimit: limits.cpus };
}

/** Throws `sandbox_gone` where the numbers are those of a container that does not run. */
export function usageBetween(first: EngineStats, last: EngineStats): Omit<SandboxUsage, 'cpuLimit'> {
  const [before, now] = [Date.parse(first.read ?? ''), Date.parse(last.read ?? '')];
  // The year 1: it was not running.
  if (!(before > 0) || !(now > 0)) throw new AppError('sandbox_gone');
  const [cpuBefore, cpuNow] = [cpuSecondsOf(first), cpuSecondsOf(last)];
  const windowMs = now - before;
  const isKnown = cpuBefore !== null && cpuNow !== null && windowMs > 0;
  return {
    memoryBytes: memoryOf(last),
    memoryLimitBytes: countOf(last.memory_stats?.limit),
    cpuSeconds: cpuNow,
    cpuPercent: isKnown ? Math.max(0, ((cpuNow - cpuBefore) * 100_000) / windowMs) : null,
    cpuWindowMs: isKnown ? windowMs : null,
    tasks: countOf(last.pids_stats?.current),
    taskLimit: countOf(last.pids_stats?.limit),
    network: networkOf(last),
  };
}

async function statsOf(engine: Engine, containerId: string, signal: AbortSignal): Promise<EngineStats> {
  try {
    return await engine.ask(signal, (docker, abortSignal) => {
      const options = { stream: false, 'one-shot': true, abortSignal } as const;
      return docker.getContainer(containerId).stats(options);
    });
  } catch (error) {
    throw goneOr(error);
  }
}

/** Without files that the host's kernel keeps only because there is room. */
function memoryOf({ memory_stats: memory }: EngineStats): number | null {
  const usage = countOf(memory?.usage);
  const files = memory?.stats?.total_inactive_file ?? memory?.stats?.inactive_file ?? 0;
  return usage === null || usage <= files ? usage : usage - files;
}

function cpuSecondsOf({ cpu_stats: cpu }: EngineStats): number | null {
  const nanoseconds = countOf(cpu?.cpu_usage?.total_usage);
  return nanoseconds === null ? null : nanoseconds / 1e9;
}

function networkOf({ networks }: EngineStats): SandboxUsage['network'] {
  const interfaces = Object.values(networks ?? {});
  if (interfaces.length === 0) return null;
  return {
    receivedBytes: sum(interfaces.map((one) => one.rx_bytes)),
    sentBytes: sum(interfaces.map((one) => one.tx_bytes)),
  };
}

function sum(numbers: (number | undefined)[]): number {
  return numbers.reduce<number>((all, one) => all + (one ?? 0), 0);
}

/** None of these is 0 in what runs: 0 is how the engine says that it does not know. */
function countOf(value: number | undefined): number | null {
  return value === undefined || value === 0 ? null : value;
}

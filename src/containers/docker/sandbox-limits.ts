import type Dockerode from 'dockerode';
import { AppError } from '../../errors/app-error.js';
import type { LiveLimits, Sandbox } from '../sandbox-runtime.js';
import { type Engine, reasonOf, statusOf } from './engine.js';
import { goneOr } from './sandbox-exec.js';

const MB = 1024 * 1024;
/** The gVisor kernel's own threads count as the sandbox's; without room for them it dies at the limit it should enforce. */
const GVISOR_THREADS = 128;

type EngineLimits = Required<Pick<Dockerode.HostConfig, 'Memory' | 'MemorySwap' | 'NanoCpus' | 'PidsLimit'>>;

/** How the engine counts memory, cpus and pids. No swap: it would only make a server that needs it slow. */
export function engineLimitsOf({ memoryMb, cpus, pids }: LiveLimits, runtime: string): EngineLimits {
  return {
    Memory: memoryMb * MB,
    MemorySwap: memoryMb * MB,
    NanoCpus: Math.round(cpus * 1e9),
    PidsLimit: pids + (runtime === 'runc' ? 0 : GVISOR_THREADS),
  };
}

/** What `engineLimitsOf` made, read back. */
export function liveLimitsOf(host: Dockerode.HostConfig, runtime: string): LiveLimits {
  return {
    memoryMb: (host.Memory ?? 0) / MB,
    cpus: (host.NanoCpus ?? 0) / 1e9,
    pids: (host.PidsLimit ?? 0) - (runtime === 'runc' ? 0 : GVISOR_THREADS),
  };
}

/** Throws `resize_refused` or `sandbox_gone`; then nothing has changed. */
export async function resizeSandbox(
  engine: Engine,
  { containerId, runtime }: Sandbox,
  limits: LiveLimits,
  signal: AbortSignal,
): Promise<void> {
  try {
    await engine.change(signal, (docker, abortSignal) =>
      docker.getContainer(containerId).update({ ...engineLimitsOf(limits, runtime), abortSignal }),
    );
  } catch (error) {
    if (statusOf(error) === 404) throw goneOr(error);
    if (statusOf(error) === undefined) throw error;
    throw new AppError('resize_refused', { detail: refusalOf(runtime, reasonOf(error)), cause: error });
  }
}

/** runsc has no command for it, and answers with the list of those it has. */
function refusalOf(runtime: string, reason: string): string {
  const words = /Usage: /.test(reason)
    ? `The runtime ${runtime} cannot change the limits of a running sandbox.`
    : reason;
  return `${words} They take effect at its next start.`;
}

import { AppError } from '../../errors/app-error.js';
import type { Sandbox, SandboxIdentity, SandboxSpec } from '../sandbox-runtime.js';
import { diskFull, isDiskFull } from './disk-full.js';
import { type Engine, reasonOf } from './engine.js';
import type { Firewall } from './firewall.js';
import type { SandboxHomes } from './home.js';
import type { HostFolders } from './host-preparation.js';
import { killLeftoversOf } from './host-processes.js';
import { findOrPullImage } from './image.js';
import type { SandboxNetwork } from './network.js';
import type { DeathWatch } from './death-watch.js';
import { pauseContainerOf } from './pause-container.js';
import type { SandboxContainers } from './sandbox-containers.js';
import type { SystemAccounts } from './system-account.js';

interface Host {
  engine: Engine;
  instance: string;
  folders: HostFolders;
  runtime: string;
}

interface Keepers {
  containers: SandboxContainers;
  networks: SandboxNetwork;
  homes: SandboxHomes;
  accounts: SystemAccounts;
  firewall: Firewall;
  deathWatch: DeathWatch;
}

/** Makes all parts of a sandbox, or none; and takes them away again. */
export class SandboxStart {
  constructor(
    private readonly host: Host,
    private readonly keep: Keepers,
  ) {}

  async run(spec: SandboxSpec, onProgress: (message: string) => void, signal: AbortSignal): Promise<Sandbox> {
    const hadHome = await this.keep.homes.exists(spec.deploymentId);
    try {
      await this.clear(spec, 'all but account and home');
      return await this.make(spec, onProgress, signal);
    } catch (error) {
      try {
        await this.clear(spec, hadHome ? 'all but home' : 'everything');
      } catch (failure) {
        throw startError(error, failure);
      }
      signal.throwIfAborted();
      throw startError(error);
    }
  }

  /** Idempotent; each part also when another one's removal fails. */
  async clear(
    identity: SandboxIdentity,
    what: 'everything' | 'all but home' | 'all but account and home',
  ): Promise<void> {
    const { containers, networks, homes, accounts, deathWatch } = this.keep;
    const { deploymentId, user } = identity;
    // First: it holds the others.
    const removed = await containers.remove(deploymentId);
    if (removed !== undefined) {
      deathWatch.forget(removed.containerId);
      await killLeftoversOf(removed.containerId);
    }
    // The container knows it, too, when the caller does not: of an orphan nothing but the id is known.
    const users = removed === undefined || removed.user.uid === user.uid ? [user] : [user, removed.user];
    const results = await Promise.allSettled([
      networks.remove(deploymentId),
      what === 'everything' ? homes.remove(deploymentId) : homes.detach(deploymentId),
      ...(what === 'all but account and home' ? [] : users.map((each) => accounts.remove(each))),
    ]);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw startError(failed.reason);
  }

  private async make(
    spec: SandboxSpec,
    onProgress: (message: string) => void,
    signal: AbortSignal,
  ): Promise<Sandbox> {
    const { containers, networks, homes, accounts, firewall } = this.keep;
    const { engine, instance, folders, runtime } = this.host;
    // A pull is not worth waiting for when another part has failed.
    const step = new AbortController();
    const abort = (): void => step.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const orAbort = <T>(part: Promise<T>): Promise<T> =>
      part.catch((error: unknown) => {
        step.abort(error);
        throw error;
      });
    try {
      signal.throwIfAborted();
      const parts = [
        orAbort(findOrPullImage(engine, spec.image, onProgress, step.signal)),
        orAbort(accounts.create(spec.user)),
        orAbort(networks.create(spec, step.signal)),
        orAbort(homes.attach(spec, step.signal)),
        orAbort(firewall.ensure()),
      ] as const;
      // All have ended, well or not, before anything is taken away again.
      await Promise.allSettled(parts);
      step.signal.throwIfAborted();
      const [image, account] = await Promise.all(parts);
      onProgress('Starting the sandbox.');
      const binFolder = folders.bin;
      const { resolvConf } = folders;
      const options = pauseContainerOf(spec, { instance, runtime, binFolder, resolvConf, image, account });
      await containers.run(options, step.signal);
    } finally {
      signal.removeEventListener('abort', abort);
    }
    const sandbox = await containers.findRunning(spec.deploymentId, signal);
    if (sandbox === undefined)
      throw new AppError('sandbox_start_failed', { detail: 'The sandbox stopped at once.' });
    return sandbox;
  }
}

/** `failure`: of the clean-up. An engine that went away explains both and is no verdict on the sandbox. */
function startError(error: unknown, failure?: unknown): AppError {
  if (failure === undefined) return explained(error);
  const [first, second] = [explained(error), explained(failure)];
  const known = second.code === 'runtime_unavailable' ? second : first;
  const retry = known.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: known.retryAfterSeconds };
  const cause = new AggregateError([error, failure], 'a failed start could not be cleaned up');
  return new AppError(known.code, { detail: known.message, ...retry, cause });
}

function explained(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const reason = reasonOf(error);
  if (isDiskFull(reason)) return diskFull(reason, error);
  const code = /unknown or invalid runtime|Unknown runtime/i.test(reason)
    ? 'runtime_unavailable'
    : 'sandbox_start_failed';
  return new AppError(code, { detail: reason, cause: error });
}

import type Dockerode from 'dockerode';
import type { Sandbox, SandboxUser } from '../sandbox-runtime.js';
import type { Engine } from './engine.js';
import { killLeftoversOf, killSentryOf } from './host-processes.js';
import { LABEL_ACCOUNT, LABEL_COMMAND, LABEL_ENTRYPOINT, LABEL_USER } from './pause-container.js';
import { liveLimitsOf } from './sandbox-limits.js';
import { isOurs, LABEL_DEPLOYMENT, LABEL_INSTANCE, nameOf } from './sandbox-names.js';

/** For the engine to tell about a container whose gVisor kernel was killed, and to remove it, which takes its time when many go. */
const LOOK_MS = 5_000;
const REMOVAL_MS = 15_000;

export interface StoppedSandbox {
  containerId: string;
  oomKilled: boolean;
}

/** The containers of this instance's sandboxes: found by name, believed by label. */
export class SandboxContainers {
  constructor(
    private readonly engine: Engine,
    private readonly instance: string,
  ) {}

  async findRunning(deploymentId: string, signal: AbortSignal): Promise<Sandbox | undefined> {
    const container = await this.inspect(deploymentId, signal);
    if (container?.State.Running !== true) return undefined;
    const sandbox = sandboxOf(deploymentId, container);
    // One that was taken off its network is no sandbox of ours, and without an address its server would be looked for here.
    return sandbox.address === '' ? undefined : sandbox;
  }

  async findStopped(deploymentId: string, signal: AbortSignal): Promise<StoppedSandbox | undefined> {
    const container = await this.inspect(deploymentId, signal);
    if (container === undefined || container.State.Running) return undefined;
    return { containerId: container.Id, oomKilled: container.State.OOMKilled };
  }

  async run(options: Dockerode.ContainerCreateOptions, signal: AbortSignal): Promise<void> {
    const container = await this.engine.change(signal, (docker, abortSignal) =>
      docker.createContainer({ ...options, abortSignal }),
    );
    await this.engine.change(signal, (_docker, abortSignal) => container.start({ abortSignal }));
  }

  /** What was removed; undefined: there was nothing. */
  async remove(deploymentId: string): Promise<{ containerId: string; user: SandboxUser } | undefined> {
    const ids = await this.killSentries(deploymentId);
    const { signal } = new AbortController();
    const container = await hurry(this.inspect(deploymentId, signal), LOOK_MS, ids);
    if (container === undefined) return undefined;
    const { Id: containerId } = container;
    const removal = this.engine.remove((docker) =>
      docker.getContainer(containerId).remove({ force: true, v: true }),
    );
    await hurry(removal, REMOVAL_MS, ids);
    return { containerId, user: userOf(container) };
  }

  /** Ids of the deployments of which the engine has a container, a network or a volume. */
  async listDeployments(signal: AbortSignal): Promise<Set<string>> {
    const filters = { label: [`${LABEL_INSTANCE}=${this.instance}`] };
    const [containers, networks, { Volumes: volumes }] = await this.engine.ask(
      signal,
      (docker, abortSignal) =>
        Promise.all([
          docker.listContainers({ all: true, filters, abortSignal }),
          docker.listNetworks({ filters, abortSignal }),
          docker.listVolumes({ filters, abortSignal }),
        ]),
    );
    const labels = [...containers, ...networks, ...(volumes ?? [])].map(
      ({ Labels }) => Labels?.[LABEL_DEPLOYMENT],
    );
    return new Set(labels.filter((id) => id !== undefined));
  }

  /** Before anything else is asked: the engine answers a listing even while it waits for a gVisor kernel in trouble. */
  private async killSentries(deploymentId: string): Promise<string[]> {
    const filters = {
      label: [`${LABEL_INSTANCE}=${this.instance}`, `${LABEL_DEPLOYMENT}=${deploymentId}`],
    };
    const containers = await this.engine.ask(new AbortController().signal, (docker, abortSignal) =>
      docker.listContainers({ all: true, filters, abortSignal }),
    );
    const ids = containers.map(({ Id: id }) => id);
    await Promise.all(ids.map((id) => killSentryOf(id)));
    return ids;
  }

  private async inspect(
    deploymentId: string,
    signal: AbortSignal,
  ): Promise<Dockerode.ContainerInspectInfo | undefined> {
    const container = await this.engine.find(signal, (docker, abortSignal) =>
      docker.getContainer(nameOf(deploymentId)).inspect({ abortSignal }),
    );
    return isOurs(container?.Config.Labels, this.instance) ? container : undefined;
  }
}

/** End all that runs in a sandbox. Fine when nothing does. */
export async function killContainer(engine: Engine, containerId: string): Promise<void> {
  await killSentryOf(containerId);
  await engine.remove((docker) => docker.getContainer(containerId).kill());
}

/**
 * The engine may go on waiting, for minutes, for a shim that waits for what was killed, or that does not work any more.
 * Nobody needs the shim of what is removed.
 */
async function hurry<T>(work: Promise<T>, ms: number, containerIds: string[]): Promise<T> {
  const killShims = (): Promise<unknown> => Promise.allSettled(containerIds.map((id) => killLeftoversOf(id)));
  const late = setTimeout(() => void killShims(), ms);
  try {
    return await work;
  } finally {
    clearTimeout(late);
  }
}

function sandboxOf(deploymentId: string, info: Dockerode.ContainerInspectInfo): Sandbox {
  const labels = info.Config.Labels;
  const networkName = nameOf(deploymentId);
  return {
    deploymentId,
    containerId: info.Id,
    runtime: info.HostConfig.Runtime ?? '',
    networkName,
    address: info.NetworkSettings.Networks[networkName]?.IPAddress ?? '',
    entrypoint: wordsIn(labels[LABEL_ENTRYPOINT]),
    command: wordsIn(labels[LABEL_COMMAND]),
    imageId: info.Image,
    account: labels[LABEL_ACCOUNT] === 'true',
    limits: liveLimitsOf(info.HostConfig, info.HostConfig.Runtime ?? ''),
  };
}

function userOf({ Config: config }: Dockerode.ContainerInspectInfo): SandboxUser {
  const [uid = NaN, gid = NaN] = config.User.split(':').map(Number);
  return { name: config.Labels[LABEL_USER] ?? '', uid, gid };
}

/** Written by us at creation. */
function wordsIn(label: string | undefined): string[] {
  return JSON.parse(label ?? '[]') as string[];
}

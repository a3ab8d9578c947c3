import { posix } from 'node:path';
import type Dockerode from 'dockerode';
import { AppError } from '../../errors/app-error.js';
import type { SandboxSpec } from '../sandbox-runtime.js';
import type { SandboxImage } from './image.js';
import { sandboxAddressOf } from './network.js';
import { engineLimitsOf } from './sandbox-limits.js';
import { labelsOf, nameOf } from './sandbox-names.js';

export const HOME = '/home/mcp';
/** Where our static binaries are inside. */
const BIN = '/.mcp-runner';
export const BUSYBOX = `${BIN}/busybox`;

/** Facts that `find` reads back, so that one look at the container is enough. */
export const LABEL_ENTRYPOINT = 'mcp-runner.entrypoint';
export const LABEL_COMMAND = 'mcp-runner.command';
export const LABEL_USER = 'mcp-runner.user';
export const LABEL_ACCOUNT = 'mcp-runner.account';

const OPEN_FILES = 8192;
/** When the host itself runs out of memory, sandboxes go first. */
const OOM_SCORE = 500;
const SMALL_TMPFS_MB = 16;
/** Trees that a VOLUME of the image may not cover. */
const RESERVED = ['/proc', '/sys', '/dev', '/etc', BIN];

export interface PauseContainerParts {
  instance: string;
  runtime: string;
  /** Our folder with the static binaries. */
  binFolder: string;
  resolvConf: string;
  image: SandboxImage;
  account: boolean;
}

/**
 * The sandbox's container: the image's file system, and in place of its program one that only waits and reaps. The
 * program is started by exec, as often as sessions need it.
 */
export function pauseContainerOf(
  spec: SandboxSpec,
  parts: PauseContainerParts,
): Dockerode.ContainerCreateOptions {
  const { image } = parts;
  const { limits, user } = spec;
  const name = nameOf(spec.deploymentId);
  const owner = `${user.uid}:${user.gid}`;
  return {
    name,
    Image: image.id,
    Hostname: 'sandbox',
    User: owner,
    Entrypoint: [`${BIN}/catatonit`],
    Cmd: ['-P'],
    StopSignal: 'SIGTERM',
    Healthcheck: { Test: ['NONE'] },
    Labels: {
      // Set to nothing: other software on the host acts on labels of containers, and these are the image's words.
      ...Object.fromEntries(image.labelNames.map((label) => [label, ''])),
      ...labelsOf(parts.instance, spec.deploymentId),
      [LABEL_ENTRYPOINT]: JSON.stringify(image.entrypoint),
      [LABEL_COMMAND]: JSON.stringify(image.command),
      [LABEL_USER]: user.name,
      [LABEL_ACCOUNT]: String(parts.account),
    },
    HostConfig: {
      Runtime: parts.runtime,
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Privileged: false,
      PublishAllPorts: false,
      Init: false,
      RestartPolicy: { Name: 'no' },
      NetworkMode: name,
      ...engineLimitsOf(limits, parts.runtime),
      OomScoreAdj: OOM_SCORE,
      Ulimits: [
        { Name: 'nofile', Soft: OPEN_FILES, Hard: OPEN_FILES },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      ShmSize: SMALL_TMPFS_MB * 1024 * 1024,
      LogConfig: { Type: 'none', Config: {} },
      Tmpfs: tmpfsOf(spec, image),
      Mounts: [
        { Type: 'bind', Source: parts.binFolder, Target: BIN, ReadOnly: true },
        { Type: 'bind', Source: parts.resolvConf, Target: '/etc/resolv.conf', ReadOnly: true },
        // no copy: what the image has at this path stays out of the user's disk.
        { Type: 'volume', Source: name, Target: HOME, VolumeOptions: noCopy() },
      ],
    },
    NetworkingConfig: {
      EndpointsConfig: { [name]: { IPAMConfig: { IPv4Address: sandboxAddressOf(spec.subnet) } } },
    },
  };
}

/** The typings want labels and a driver where the engine wants neither. */
function noCopy(): Dockerode.MountSettings['VolumeOptions'] {
  return { NoCopy: true } as unknown as Dockerode.MountSettings['VolumeOptions'];
}

/**
 * The temporary folders, and one in place of each VOLUME of the image: those would be writable, unbounded folders on the
 * host's disk. They live in the sandbox's memory and count against its limit.
 */
function tmpfsOf({ limits }: SandboxSpec, image: SandboxImage): Record<string, string> {
  const tmpMb = Math.max(SMALL_TMPFS_MB, Math.min(limits.diskMb, Math.floor(limits.memoryMb / 2)));
  const volumes = image.volumes.map((path) => posix.resolve('/', path)).filter((path) => path !== HOME);
  for (const path of volumes) {
    const isReserved = RESERVED.some((tree) => path === tree || path.startsWith(`${tree}/`));
    if (path === '/' || isReserved) {
      throw new AppError('image_invalid', { detail: `The image declares ${path} as a VOLUME.` });
    }
  }
  return {
    ...Object.fromEntries(volumes.map((path) => [path, sized(tmpMb)])),
    '/var/tmp': sized(SMALL_TMPFS_MB),
    '/run': sized(SMALL_TMPFS_MB),
    '/tmp': sized(tmpMb),
  };
}

function sized(mb: number): string {
  return `rw,exec,nosuid,nodev,mode=1777,size=${mb}m`;
}

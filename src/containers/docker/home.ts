import { constants } from 'node:fs';
import { access, readdir, readFile, rename, rm, stat, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors/app-error.js';
import type { SandboxSpec } from '../sandbox-runtime.js';
import type { Engine } from './engine.js';
import { HostCommandError, runOnHost } from './host-command.js';
import { LoopDevices } from './loop-device.js';
import { isOurs, labelsOf, nameOf } from './sandbox-names.js';

const MB = 1024 * 1024;
const STAT_BLOCK_BYTES = 512;
const SUFFIX = '.img';
/** Of one that is being made. */
const DRAFT = '.new';
const FILE = /^(.+)\.img(\.new)?$/;
/** Exit codes of e2fsck from here on mean that the file system is still not in order. */
const FSCK_UNCORRECTED = 4;

/**
 * The HOME of a sandbox: a file system of the size of the disk limit in a sparse file, so that overflow is ENOSPC inside
 * and never a full host. The engine mounts it, as a volume over a loop device: a mount made by us would not be seen by
 * the engine when the control plane itself runs in a container.
 */
export class SandboxHomes {
  private readonly loops = new LoopDevices();

  constructor(
    private readonly engine: Engine,
    private readonly instance: string,
    private readonly folder: string,
  ) {}

  async exists(deploymentId: string): Promise<boolean> {
    return access(this.fileOf(deploymentId), constants.F_OK).then(
      () => true,
      () => false,
    );
  }

  /** A HOME that is there already keeps its content. The volume's name is `nameOf(deploymentId)`. */
  async attach(spec: SandboxSpec, signal: AbortSignal): Promise<void> {
    const file = this.fileOf(spec.deploymentId);
    if (await this.exists(spec.deploymentId)) await repair(file);
    else await this.make(file, spec);
    const device = await this.loops.attach(file);
    await this.engine.change(signal, (docker, abortSignal) =>
      docker.createVolume({
        Name: nameOf(spec.deploymentId),
        Driver: 'local',
        // discard: what is deleted inside is given back to the host's disk.
        DriverOpts: { type: 'ext4', device, o: 'nosuid,nodev,discard,errors=remount-ro' },
        Labels: labelsOf(this.instance, spec.deploymentId),
        abortSignal,
      }),
    );
  }

  /** Takes it from the engine; the content stays. The container must be gone. */
  async detach(deploymentId: string): Promise<void> {
    const name = nameOf(deploymentId);
    const signal = new AbortController().signal;
    const volume = await this.engine.find(signal, (docker, abortSignal) =>
      docker.getVolume(name).inspect({ abortSignal }),
    );
    if (volume !== undefined && isOurs(volume.Labels, this.instance)) {
      await this.engine.remove((docker) => docker.getVolume(name).remove());
    }
    if (await this.exists(deploymentId)) await this.loops.detach(this.fileOf(deploymentId));
  }

  /**
   * As the mounted file system has it, where its mount is seen from here; otherwise what of its file is on the host's disk,
   * which lags behind by what the kernel has not written yet. Undefined: there is none.
   */
  async usedBytes(deploymentId: string): Promise<number | undefined> {
    const file = await stat(this.fileOf(deploymentId)).catch(() => undefined);
    if (file === undefined) return undefined;
    const mountPoint = await mountPointOf(nameOf(deploymentId));
    if (mountPoint === undefined) return file.blocks * STAT_BLOCK_BYTES;
    const { blocks, bfree, bsize } = await statfs(mountPoint);
    return (blocks - bfree) * bsize;
  }

  async remove(deploymentId: string): Promise<void> {
    await this.detach(deploymentId);
    const file = this.fileOf(deploymentId);
    await Promise.all([rm(file, { force: true }), rm(`${file}${DRAFT}`, { force: true })]);
  }

  /** Ids of the deployments that have one. */
  async list(): Promise<string[]> {
    const files = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      // A data directory that was restored from a backup has none before its first start.
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return files.flatMap((file) => FILE.exec(file)?.[1] ?? []);
  }

  private fileOf(deploymentId: string): string {
    return join(this.folder, `${deploymentId}${SUFFIX}`);
  }

  /** It has its name only once it is whole, whenever this process should end. */
  private async make(file: string, { limits, user }: SandboxSpec): Promise<void> {
    const draft = `${file}${DRAFT}`;
    const { bavail, bsize } = await statfs(this.folder);
    const freeMb = Math.floor((bavail * bsize) / MB);
    if (freeMb < limits.diskMb) {
      throw new AppError('disk_full', {
        detail: `The host has ${freeMb} MB left, maxDisk is ${limits.diskMb} MB.`,
      });
    }
    try {
      // Not overwritten: a tool that outlived the last control plane may still be writing to it.
      await rm(draft, { force: true });
      await writeFile(draft, '', { mode: 0o600 });
      await truncate(draft, limits.diskMb * MB);
      // No journal: after a crash of the host the file system is checked before its next use. Inode tables are written
      // when they are used, or each HOME would cost megabytes at once.
      const options = [
        '-O',
        '^has_journal',
        '-m',
        '0',
        '-E',
        `root_owner=${user.uid}:${user.gid},lazy_itable_init=1`,
      ];
      await runOnHost('mkfs.ext4', ['-q', '-F', ...options, draft]);
      // Servers that walk through their HOME would stumble over a folder that is root's.
      await runOnHost('debugfs', ['-w', '-R', 'rmdir lost+found', draft]);
      await rename(draft, file);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }
}

async function repair(file: string): Promise<void> {
  try {
    await runOnHost('e2fsck', ['-y', file]);
  } catch (error) {
    if (error instanceof HostCommandError && (error.exitCode ?? FSCK_UNCORRECTED) < FSCK_UNCORRECTED) return;
    throw error;
  }
}

/** Where the engine has mounted a volume; undefined: nowhere, or not where this process can see it. */
async function mountPointOf(volume: string): Promise<string | undefined> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const points = mounts.split('\n').map((line) => line.split(' ')[4] ?? '');
  return points.find((point) => point.endsWith(`/volumes/${volume}/_data`));
}

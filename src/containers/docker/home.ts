import { constants } from 'node:fs';
import { access, readdir, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors/app-error.js';
import type { SandboxSpec } from '../sandbox-runtime.js';
import type { Engine } from './engine.js';
import { HostCommandError, runOnHost } from './host-command.js';
import { LoopDevices } from './loop-device.js';
import { isOurs, labelsOf, nameOf } from './sandbox-names.js';

const MB = 1024 * 1024;
const SUFFIX = '.img';
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

  async remove(deploymentId: string): Promise<void> {
    await this.detach(deploymentId);
    await rm(this.fileOf(deploymentId), { force: true });
  }

  /** Ids of the deployments that have one. */
  async list(): Promise<string[]> {
    const files = await readdir(this.folder);
    return files.filter((file) => file.endsWith(SUFFIX)).map((file) => file.slice(0, -SUFFIX.length));
  }

  private fileOf(deploymentId: string): string {
    return join(this.folder, `${deploymentId}${SUFFIX}`);
  }

  private async make(file: string, { limits, user }: SandboxSpec): Promise<void> {
    const { bavail, bsize } = await statfs(this.folder);
    const freeMb = Math.floor((bavail * bsize) / MB);
    if (freeMb < limits.diskMb) {
      throw new AppError('disk_full', {
        detail: `The host has ${freeMb} MB left, maxDisk is ${limits.diskMb} MB.`,
      });
    }
    try {
      await writeFile(file, '', { mode: 0o600 });
      await truncate(file, limits.diskMb * MB);
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
      await runOnHost('mkfs.ext4', ['-q', '-F', ...options, file]);
      // Servers that walk through their HOME would stumble over a folder that is root's.
      await runOnHost('debugfs', ['-w', '-R', 'rmdir lost+found', file]);
    } catch (error) {
      await rm(file, { force: true });
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

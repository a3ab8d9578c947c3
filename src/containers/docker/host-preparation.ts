import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config/config.js';
import { AppError } from '../../errors/app-error.js';
import { runOnHost } from './host-command.js';

/** Programs of ours that run inside, and where the distribution has them. */
const BINARIES = { catatonit: '/usr/bin/catatonit', busybox: '/bin/busybox' };
const HOST_TOOLS = ['losetup', 'mkfs.ext4', 'e2fsck', 'debugfs', 'nft'];
const INSTANCE_ID = 'instance-id';
const ELF_PROGRAM_HEADERS_AT = 32;
const ELF_HEADER_SIZE_AT = 54;
const ELF_HEADER_COUNT_AT = 56;
const PT_INTERP = 3;

/** What we keep below the data directory. */
export interface HostFolders {
  bin: string;
  homes: string;
  resolvConf: string;
}

export function foldersIn(dataDir: string): HostFolders {
  return {
    bin: join(dataDir, 'bin'),
    homes: join(dataDir, 'homes'),
    resolvConf: join(dataDir, 'resolv.conf'),
  };
}

/** Makes the folders and files that sandboxes are started with; throws when the host lacks something. */
export async function prepareFolders(config: Config): Promise<void> {
  const { bin, homes, resolvConf } = foldersIn(config.dataDir);
  // Passable, not readable: the binaries are reached from inside under the sandbox's own uid.
  await mkdir(config.dataDir, { recursive: true, mode: 0o711 });
  await mkdir(bin, { recursive: true, mode: 0o711 });
  await mkdir(homes, { recursive: true, mode: 0o700 });
  await chmod(config.dataDir, 0o711);
  for (const [name, source] of Object.entries(BINARIES)) await installStatic(source, join(bin, name));
  const lines = config.sandboxDns.map((address) => `nameserver ${address}\n`).join('');
  await replaceFile(resolvConf, lines, 0o644);
}

/** The id that labels what is ours in the engine; as old as the data directory. */
export async function instanceIdIn(dataDir: string): Promise<string> {
  const file = join(dataDir, INSTANCE_ID);
  const known = await readInstanceId(file);
  if (known !== undefined) return known;
  const fresh = randomBytes(8).toString('hex');
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  await replaceFile(file, `${fresh}\n`, 0o600);
  return fresh;
}

/** As `instanceIdIn`, but throws where there is none. */
export async function knownInstanceIn(dataDir: string): Promise<string> {
  const known = await readInstanceId(join(dataDir, INSTANCE_ID));
  if (known === undefined)
    throw lacking(`There is no instance id in ${dataDir}: the service never ran there.`);
  return known;
}

async function readInstanceId(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return /^[0-9a-f]{16}$/.test(text.trim()) ? text.trim() : undefined;
}

/** Homes are file systems of their own: that takes root, its tools and loop devices. */
export async function requireHostTools(): Promise<void> {
  if (process.geteuid?.() !== 0)
    throw lacking('Sandboxes need root: their disks and the firewall are made by it.');
  for (const tool of HOST_TOOLS) {
    await runOnHost('which', [tool]).catch((error: unknown) => {
      throw lacking(`${tool} is not installed; setup.sh engine installs it.`, error);
    });
  }
  await runOnHost('losetup', ['--find']).catch((error: unknown) => {
    throw lacking('There are no loop devices here. In a container, --privileged is needed.', error);
  });
}

async function installStatic(source: string, target: string): Promise<void> {
  const content = await readFile(source).catch((error: unknown) => {
    throw lacking(`${source} is not installed; setup.sh engine installs it.`, error);
  });
  if (!isStaticElf(content)) {
    throw lacking(
      `${source} is not a static program, so it cannot run in every image. Install busybox-static and catatonit.`,
    );
  }
  const installed = await readFile(target).catch(() => undefined);
  if (installed?.equals(content) !== true) {
    // Not written in place: sandboxes that run have it open.
    await copyFile(source, `${target}.new`);
    await chmod(`${target}.new`, 0o755);
    await rename(`${target}.new`, target);
  }
}

/** A 64-bit ELF file that names no loader. */
function isStaticElf(file: Buffer): boolean {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file.readUInt8(4) !== 2) return false;
  const first = Number(file.readBigUInt64LE(ELF_PROGRAM_HEADERS_AT));
  const size = file.readUInt16LE(ELF_HEADER_SIZE_AT);
  const count = file.readUInt16LE(ELF_HEADER_COUNT_AT);
  if (first + size * count > file.length) return false;
  return Array.from({ length: count }, (_, i) => file.readUInt32LE(first + i * size)).every(
    (t) => t !== PT_INTERP,
  );
}

async function replaceFile(file: string, content: string, mode: number): Promise<void> {
  const known = await readFile(file, 'utf8').catch(() => undefined);
  // In place: resolv.conf is bound into running sandboxes by its inode.
  if (known !== content) await writeFile(file, content, { mode });
  await chmod(file, mode);
}

function lacking(detail: string, cause?: unknown): AppError {
  return new AppError('runtime_unavailable', { detail, cause });
}

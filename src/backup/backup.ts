import {
  createReadStream,
  existsSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { packageVersion } from '../config/package-version.js';
import { syncToDisk } from '../database/backups.js';
import { copyDatabase } from '../database/database-copy.js';
import { type DatabaseExam, examineDatabase } from '../database/database-exam.js';
import { deploymentsIn } from '../database/known-deployments.js';
import { MIGRATIONS_FOLDER, readMigrations } from '../database/migrations.js';
import { hasUnfinishedRestore } from '../database/restored-state.js';
import { Digest, readArchive, writeArchive } from './backup-archive.js';
import { BackupError } from './backup-error.js';
import { type BackupManifest, type BackupPart, type PartName, PARTS } from './backup-manifest.js';

const ARCHIVE = 'archive';
const JOURNALS = ['-journal', '-wal', '-shm'].map((end) => `${PARTS[0]}${end}`);
const IN_DRAFTS = new Set<string>([ARCHIVE, ...PARTS, ...JOURNALS]);
/** What file systems without hard links say: FAT, SMB and others. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

export interface Backup {
  path: string;
  bytes: number;
  manifest: BackupManifest;
}

/**
 * Copy the state of a data directory, as it is at one moment, to one file, whether its service runs or not. The file
 * appears whole and checked, or not at all; one that is there is only replaced when `force` is set. The caller holds the
 * maintenance lock.
 */
export async function backUp(dataDir: string, file: string, force: boolean, now: Date): Promise<Backup> {
  const path = resolve(file);
  requireState(dataDir);
  requirePlace(path, force);
  removeDrafts(path);
  // Beside its place: moving it there is one step, and the disk that has to have room is the same.
  const folder = mkdtempSync(join(dirname(path), `.${basename(path)}-`));
  try {
    const manifest = await gather(dataDir, folder, now);
    const draft = join(folder, ARCHIVE);
    await writeArchive(draft, folder, manifest);
    // What is on the disk, not what was meant to be.
    await readArchive(draft, undefined);
    publish(draft, path, force);
    return { path, bytes: statSync(path).size, manifest };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function requireState(dataDir: string): void {
  if (hasUnfinishedRestore(dataDir))
    throw new BackupError(
      `A restore of ${dataDir} was cut off`,
      'Start the service, which finishes it, and run this again.',
    );
  if (!existsSync(join(dataDir, 'mcp-runner.sqlite')) || !existsSync(join(dataDir, 'instance-id')))
    throw new BackupError(
      `There is no state of mcp-runner in ${dataDir}`,
      'Set DATA_DIR to what the service has, or start the service once.',
    );
}

function requirePlace(path: string, force: boolean): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) throw new BackupError(`${path} is no file`, 'Name a file.');
  if (found !== undefined && !force) throw isThere(path);
  if (statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new BackupError(`There is no directory ${dirname(path)}`, 'Make it, or name another place.');
}

/** Of one for the same file that was killed; they hold what a backup holds. What looks otherwise is somebody else's. */
function removeDrafts(path: string): void {
  const prefix = `.${basename(path)}-`;
  for (const name of readdirSync(dirname(path))) {
    const folder = join(dirname(path), name);
    if (name.startsWith(prefix) && /^\w{6}$/.test(name.slice(prefix.length)) && isDraft(folder))
      rmSync(folder, { recursive: true, force: true });
  }
}

function isDraft(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true || (found.mode & 0o777) !== 0o700) return false;
  return readdirSync(folder, { withFileTypes: true }).every(
    (entry) => entry.isFile() && IN_DRAFTS.has(entry.name),
  );
}

async function gather(dataDir: string, folder: string, now: Date): Promise<BackupManifest> {
  const [database, ...keys] = PARTS;
  const copy = join(folder, database);
  copyDatabase(join(dataDir, database), copy);
  const exam = examineDatabase(copy, readMigrations(MIGRATIONS_FOLDER));
  const schema = schemaOf(exam);
  const deployments = deploymentsIn(copy).length;
  const parts = [await partOf(folder, database)];
  for (const name of keys) {
    // With API_KEY in the environment there is none in a file.
    if (!existsSync(join(dataDir, name))) continue;
    await copyFile(join(dataDir, name), join(folder, name));
    parts.push(await partOf(folder, name));
  }
  const instanceId = (await readFile(join(folder, 'instance-id'), 'utf8')).trim();
  const version = packageVersion();
  return { format: 1, version, schema, instanceId, createdAt: now.toISOString(), deployments, parts };
}

function schemaOf(exam: DatabaseExam): BackupManifest['schema'] {
  if (exam.state === 'same' || exam.state === 'older') return exam.schema;
  if (exam.state === 'newer')
    throw new BackupError(
      'The database was made by a newer version of mcp-runner',
      'Back it up with that version.',
    );
  throw new BackupError(
    `The database is damaged (${exam.why}), so the backup would be, too`,
    'Restore an earlier backup, or copy DATA_DIR as it is while the service is stopped.',
  );
}

async function partOf(folder: string, name: PartName): Promise<BackupPart> {
  const digest = new Digest();
  await pipeline(createReadStream(join(folder, name)), digest, new PassThrough().resume());
  return { name, bytes: digest.bytes, sha256: digest.sha256 };
}

function publish(draft: string, path: string, force: boolean): void {
  if (force) renameSync(draft, path);
  else publishNew(draft, path);
  syncToDisk(dirname(path));
}

/** A link does not replace what somebody has put there meanwhile. Where there are none, looking has to do. */
function publishNew(draft: string, path: string): void {
  try {
    linkSync(draft, path);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw isThere(path);
    if (!NO_LINKS.has(code)) throw error;
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw isThere(path);
    renameSync(draft, path);
  }
}

function isThere(path: string): BackupError {
  return new BackupError(`${path} is there already`, 'Name another file, or replace it with --force.');
}

import { copyFileSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type DatabaseExam, examineDatabase } from '../database/database-exam.js';
import { deploymentsIn } from '../database/known-deployments.js';
import { MIGRATIONS_FOLDER, readMigrations } from '../database/migrations.js';
import {
  finishRestore,
  hasUnfinishedRestore,
  RestoredState,
  SET_ASIDE,
  STATE_FILES,
} from '../database/restored-state.js';
import { readArchive } from './backup-archive.js';
import { BackupError } from './backup-error.js';
import type { BackupManifest } from './backup-manifest.js';
import { homesIn, keepBelongings, ownersIn, releaseBelongings, returnBelongings } from './belongings.js';

const DATABASE = 'mcp-runner.sqlite';

export interface Restore {
  /** Undefined: it was a state set aside by an earlier restore. */
  manifest: BackupManifest | undefined;
  deployments: number;
  /** The folder that the state before was moved to. */
  aside: string;
  /** Whether a restore of `aside` undoes this one; false: there was no database before. */
  canBeUndone: boolean;
  /** Deployments that are not in the new state and have a home or a log here, which is kept in `aside`. */
  strangers: number;
  /** Deployments of the new state that have no home here: they begin with an empty one. */
  homeless: number;
  /** The instance whose sandboxes on this machine nobody knows any more; undefined: it is the same. */
  instanceBefore: string | undefined;
}

/**
 * Put a backup, or a state that an earlier restore set aside, in the place of the present state. Everything is checked
 * before anything is touched; whenever this process should end, the state is the one or the other. The caller holds both
 * locks of the directory, so that no service runs.
 */
export async function restore(dataDir: string, source: string, now: Date): Promise<Restore> {
  const from = resolve(source);
  const found = statSync(from, { throwIfNoEntry: false });
  if (found === undefined) throw new BackupError(`There is no ${from}`, 'Name a backup.');
  // One that was cut off is the present state.
  finishRestore(dataDir);
  const before = instanceIn(dataDir);
  const state = new RestoredState(dataDir);
  try {
    const manifest = found.isDirectory()
      ? copyState(from, state.newFiles)
      : await unpack(from, found.size, state.newFiles, dataDir);
    requireDatabase(join(state.newFiles, DATABASE), from);
    const ids = new Set(deploymentsIn(join(state.newFiles, DATABASE)).map(({ id }) => id));
    // Reading leaves it behind.
    rmSync(join(state.newFiles, `${DATABASE}-shm`), { force: true });
    if (found.isDirectory()) returnBelongings(from, dataDir, ids);
    const strangers = ownersIn(dataDir).filter((id) => !ids.has(id));
    keepBelongings(strangers, dataDir, state.belongings);
    const homes = homesIn(dataDir);
    const homeless = [...ids].filter((id) => !homes.includes(id)).length;
    const after = readFileSync(join(state.newFiles, 'instance-id'), 'utf8').trim();
    const aside = state.commit(now);
    if (found.isDirectory()) release(from, dataDir, ids);
    return {
      manifest,
      deployments: ids.size,
      aside,
      canBeUndone: existsSync(join(aside, DATABASE)),
      strangers: strangers.length,
      homeless,
      instanceBefore: before === after ? undefined : before,
    };
  } catch (error) {
    state.discard();
    throw hasUnfinishedRestore(dataDir) ? cutOff(error) : error;
  }
}

/** The restore is done. Links too many cost only disk, until gc removes the folder. */
function release(from: string, dataDir: string, ids: Set<string>): void {
  try {
    releaseBelongings(from, dataDir, ids);
  } catch {}
}

function cutOff(cause: unknown): BackupError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new BackupError(
    `The restore was decided, but not finished (${reason})`,
    'Mend that. Then the next start of the service finishes it, or this command.',
    { cause },
  );
}

async function unpack(file: string, bytes: number, folder: string, dataDir: string): Promise<BackupManifest> {
  const { bavail, bsize } = await statfs(dataDir);
  if (bavail * bsize < bytes)
    throw new BackupError(`${dataDir} has no room for the ${bytes} bytes of ${file}`, 'Free space.');
  try {
    return await readArchive(file, folder);
  } catch (error) {
    throw error instanceof BackupError
      ? new BackupError(`${file} is not restored: ${error.message}`, error.remedy, { cause: error })
      : error;
  }
}

function copyState(folder: string, target: string): undefined {
  if (!SET_ASIDE.test(folder.split('/').at(-1) ?? '') || !existsSync(join(folder, DATABASE)))
    throw new BackupError(
      `${folder} is no state that a restore has set aside`,
      'Name a backup, or a folder before-restore-… in DATA_DIR.',
    );
  for (const name of STATE_FILES) {
    if (name.endsWith('-shm') || !existsSync(join(folder, name))) continue;
    copyFileSync(join(folder, name), join(target, name));
  }
  return undefined;
}

function requireDatabase(path: string, from: string): void {
  const exam: DatabaseExam = examineDatabase(path, readMigrations(MIGRATIONS_FOLDER));
  if (exam.state === 'same' || exam.state === 'older') return;
  if (exam.state === 'newer')
    throw new BackupError(
      `${from} is not restored: its database was made by a newer version of mcp-runner (its migration of ${new Date(exam.when).toISOString()} is unknown here)`,
      'Restore it with that version.',
    );
  throw new BackupError(
    `${from} is not restored: its database is ${exam.state} (${exam.why})`,
    'Use another backup.',
  );
}

function instanceIn(dataDir: string): string | undefined {
  const file = join(dataDir, 'instance-id');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { statfs } from 'node:fs/promises';
import { hasUnfinishedRestore, STATE_FILES } from '../database/restored-state.js';
import { judgeDisk } from '../health/disk-space.js';
import type { Finding } from './finding.js';

const NAME = 'data directory';
/** What more than the owner may do with a directory that sandboxes pass through: pass. */
const PASSABLE = 0o066;
const OTHERS = 0o077;
const PRIVATE = [...STATE_FILES, 'lock', 'maintenance'];
const PRIVATE_FOLDERS = ['homes', 'backups'];

/** Whether it is there, ours, and closed to everybody else. */
export function checkDataDir(dataDir: string): Finding {
  const found = statSync(dataDir, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true)
    return {
      name: NAME,
      level: 'fail',
      message: `There is no directory ${dataDir}.`,
      fix: 'Set DATA_DIR to what the service has, or start the service once.',
    };
  if (hasUnfinishedRestore(dataDir))
    return {
      name: NAME,
      level: 'fail',
      message: 'A restore was cut off.',
      fix: 'Start the service, which finishes it.',
    };
  const open = [
    ...((found.mode & PASSABLE) === 0 ? [] : [{ path: dataDir, mode: '711' }]),
    ...tooOpen(dataDir, PRIVATE, '600'),
    ...tooOpen(dataDir, PRIVATE_FOLDERS, '700'),
  ];
  if (open.length > 0) {
    const fix = open.map(({ path, mode }) => `chmod ${mode} ${path}`).join('; ');
    const message = `Others than its owner may read ${open.map(({ path }) => path).join(', ')}.`;
    return { name: NAME, level: 'fail', message, fix };
  }
  const uid = process.geteuid?.();
  if (found.uid !== uid)
    return {
      name: NAME,
      level: 'warn',
      message: `${dataDir} belongs to uid ${found.uid}, and this is uid ${uid}.`,
      fix: 'Run this as the user of the service.',
    };
  return { name: NAME, level: 'ok', message: `${dataDir} and its keys are closed to others.` };
}

export async function checkDisk(dataDir: string): Promise<Finding> {
  const name = 'disk';
  try {
    const { ok, message } = judgeDisk(await statfs(dataDir));
    return ok
      ? { name, level: 'ok', message }
      : { name, level: 'fail', message, fix: 'Free space, or delete deployments.' };
  } catch {
    return { name, level: 'fail', message: 'DATA_DIR cannot be looked at.', fix: 'See the data directory.' };
  }
}

function tooOpen(dataDir: string, names: string[], mode: string): { path: string; mode: string }[] {
  return names
    .map((name) => join(dataDir, name))
    .filter((path) => ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & OTHERS) !== 0)
    .map((path) => ({ path, mode }));
}

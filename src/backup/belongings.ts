import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { BackupError } from './backup-error.js';

/*
 * What deployments have in a data directory beside its state, and in the folder that a restore sets aside:
 * `homes/<id>.img`, a file each, and `logs/<id>/`, a folder of files each.
 */
const HOMES = 'homes';
const LOGS = 'logs';
const HOME = /^(?<id>.+)\.img$/;
const LOG = /^dp_/;
/** Below `logs`, for that need not be the file system of the data directory. */
const RETURNING = 'returning';

export function homesIn(folder: string): string[] {
  return namesIn(join(folder, HOMES)).flatMap((name) => HOME.exec(name)?.groups?.['id'] ?? []);
}

/** Deployments that have a home there, or a log. */
export function ownersIn(folder: string): string[] {
  return [...new Set([...homesIn(folder), ...logsIn(folder)])];
}

/** By links, which cost nothing and stay when the next start removes them. `target` has folders for both. */
export function keepBelongings(owners: string[], dataDir: string, target: string): void {
  const homes = owners.filter((id) => existsSync(homeOf(dataDir, id)));
  try {
    for (const id of homes) linkSync(homeOf(dataDir, id), homeOf(target, id));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    const names = homes.map((id) => `${id}.img`).join(', ');
    throw new BackupError(
      `${join(dataDir, HOMES)} is on another file system, so the homes of ${homes.length} deployments that the backup does not know cannot be kept`,
      `Move them out of it: ${names}.`,
    );
  }
  for (const id of owners) linkLog(logOf(dataDir, id), logOf(target, id));
}

/** What an earlier restore has kept comes back with the state that knows it. It stays there, too: this may be cut off. */
export function returnBelongings(from: string, dataDir: string, ids: Set<string>): void {
  for (const id of homesIn(from)) {
    if (!ids.has(id) || existsSync(homeOf(dataDir, id))) continue;
    mkdirSync(join(dataDir, HOMES), { recursive: true, mode: 0o700 });
    linkSync(homeOf(from, id), homeOf(dataDir, id));
  }
  const returning = returningIn(dataDir);
  for (const id of logsIn(from)) {
    if (!ids.has(id) || existsSync(logOf(dataDir, id))) continue;
    rmSync(returning, { recursive: true, force: true });
    linkLog(logOf(from, id), returning);
    // A log is there wholly or not at all.
    renameSync(returning, logOf(dataDir, id));
  }
}

/**
 * Remove from `from` what has come back for good, or the disk of a deployment would stay taken when it is deleted. What is
 * not the same file stays: it may be the only one.
 */
export function releaseBelongings(from: string, dataDir: string, ids: Set<string>): void {
  for (const id of homesIn(from)) if (ids.has(id)) removeTwin(homeOf(from, id), homeOf(dataDir, id));
  for (const id of logsIn(from)) {
    if (!ids.has(id)) continue;
    const [kept, present] = [logOf(from, id), logOf(dataDir, id)];
    for (const name of readdirSync(kept)) removeTwin(join(kept, name), join(present, name));
    if (readdirSync(kept).length === 0) rmdirSync(kept);
  }
}

/** What a return that was cut off has left, if so. */
export function returningIn(dataDir: string): string {
  return join(dataDir, LOGS, RETURNING);
}

function linkLog(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const entry of readdirSync(from, { withFileTypes: true }))
    if (entry.isFile()) linkOrCopy(join(from, entry.name), join(to, entry.name));
}

/** Logs are small, and may be where no link leads to. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}

function removeTwin(path: string, other: string): void {
  const found = statSync(other, { throwIfNoEntry: false });
  const { ino, dev } = statSync(path);
  if (found?.ino === ino && found.dev === dev) rmSync(path);
}

function homeOf(folder: string, id: string): string {
  return join(folder, HOMES, `${id}.img`);
}

function logOf(folder: string, id: string): string {
  return join(folder, LOGS, id);
}

function logsIn(folder: string): string[] {
  return namesIn(join(folder, LOGS)).filter(
    (name) => LOG.test(name) && statSync(logOf(folder, name)).isDirectory(),
  );
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

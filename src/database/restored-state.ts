import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syncToDisk } from './backups.js';

/** The files of a data directory that make up its state: what a restore takes the place of. */
export const STATE_FILES = [
  'mcp-runner.sqlite',
  'mcp-runner.sqlite-wal',
  'mcp-runner.sqlite-shm',
  'instance-id',
  'api-key',
] as const;

/** Where the state before a restore is kept. */
export const SET_ASIDE = /^before-restore-\d{8}T\d{6}\.\d{3}Z$/;

const DRAFT = 'restore.draft';
const READY = 'restore';
/** Below either: the files to come; homes and logs that the next start would remove; where the present state goes. */
const NEW = 'new';
const BELONGINGS = ['homes', 'logs'] as const;
const ASIDE = 'aside';
const IS_ASIDE = 'is-aside';

/** A state that is to take the place of the present one: gathered in a folder, then put in place as a whole. */
export class RestoredState {
  private readonly draft: string;

  /** Begins anew, whatever an earlier one has left. The caller holds the directory's lock. */
  constructor(private readonly dataDir: string) {
    this.draft = join(dataDir, DRAFT);
    this.discard();
    for (const folder of [this.draft, this.newFiles, ...this.folders]) mkdirSync(folder, { mode: 0o700 });
  }

  /** For files with the names of `STATE_FILES`. */
  get newFiles(): string {
    return join(this.draft, NEW);
  }

  /** Has the folders `homes` and `logs`, for links to those that the new state knows nothing of. */
  get belongings(): string {
    return this.draft;
  }

  private get folders(): string[] {
    return BELONGINGS.map((name) => join(this.belongings, name));
  }

  /** From here on there is no way back but another restore. Returns the folder that has the state before. */
  commit(now: Date): string {
    const aside = `before-restore-${now.toISOString().replaceAll(/[-:]/g, '')}`;
    writeFileSync(join(this.draft, ASIDE), aside);
    for (const name of readdirSync(this.newFiles)) syncToDisk(join(this.newFiles, name));
    const logs = readdirSync(join(this.belongings, 'logs')).map((id) => join(this.belongings, 'logs', id));
    for (const path of [join(this.draft, ASIDE), this.newFiles, ...logs, ...this.folders, this.draft])
      syncToDisk(path);
    renameSync(this.draft, join(this.dataDir, READY));
    syncToDisk(this.dataDir);
    finishRestore(this.dataDir);
    return join(this.dataDir, aside);
  }

  discard(): void {
    rmSync(this.draft, { recursive: true, force: true });
  }
}

/** True: a restore was cut off after it had been decided. Whoever takes the directory's lock finishes it. */
export function hasUnfinishedRestore(dataDir: string): boolean {
  return existsSync(join(dataDir, READY));
}

/** What a restore that was cut off before it was decided has left. */
export function restoreDraftOf(dataDir: string): string {
  return join(dataDir, DRAFT);
}

/**
 * Put a state that is ready in its place. May be cut off anywhere and begun again: first every present file is moved
 * aside, which is noted, then every new one into its place. Nothing happens where none is ready.
 */
export function finishRestore(dataDir: string): void {
  const ready = join(dataDir, READY);
  if (!existsSync(ready)) return;
  const name = readFileSync(join(ready, ASIDE), 'utf8');
  if (!SET_ASIDE.test(name)) throw new Error(`${join(ready, ASIDE)} does not name a folder of ours`);
  const aside = join(dataDir, name);
  if (!existsSync(join(ready, IS_ASIDE))) {
    mkdirSync(aside, { recursive: true, mode: 0o700 });
    for (const file of STATE_FILES) moveIfThere(join(dataDir, file), join(aside, file));
    for (const folder of BELONGINGS) moveIfThere(join(ready, folder), join(aside, folder));
    for (const path of [aside, dataDir]) syncToDisk(path);
    writeFileSync(join(ready, IS_ASIDE), '');
    syncToDisk(ready);
  }
  for (const file of readdirSync(join(ready, NEW))) moveIfThere(join(ready, NEW, file), join(dataDir, file));
  syncToDisk(dataDir);
  // At once, or a removal that is cut off would leave a state that looks ready and is not.
  rmSync(join(dataDir, DRAFT), { recursive: true, force: true });
  renameSync(ready, join(dataDir, DRAFT));
  rmSync(join(dataDir, DRAFT), { recursive: true });
}

function moveIfThere(from: string, to: string): void {
  if (existsSync(from)) renameSync(from, to);
}

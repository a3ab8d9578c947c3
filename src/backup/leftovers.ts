import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { restoreDraftOf, SET_ASIDE } from '../database/restored-state.js';
import { returningIn } from './belongings.js';

/** Drafts of things that have another name once they are whole. */
const DRAFTS = [/^mcp-runner\.sqlite\.draft(-journal)?$/, /^api-key\.\d+$/];
const DRAFTS_BELOW = { backups: /^draft(-journal)?$/, bin: /\.new$/ };

/** States that restores have set aside, but for the newest `kept`. */
export function setAsideBeyond(dataDir: string, kept: number): string[] {
  const names = namesIn(dataDir).filter((name) => SET_ASIDE.test(name));
  return names
    .sort()
    .toReversed()
    .slice(kept)
    .map((name) => join(dataDir, name));
}

/** Of restores that were cut off before they were decided. The caller holds the maintenance lock. */
export function restoreDrafts(dataDir: string): string[] {
  return [restoreDraftOf(dataDir), returningIn(dataDir)].filter((path) => existsSync(path));
}

/** Of starts and migrations that were cut off. Nobody writes them while the caller holds the directory's lock. */
export function startDrafts(dataDir: string): string[] {
  const found = namesIn(dataDir).filter((name) => DRAFTS.some((draft) => draft.test(name)));
  const below = Object.entries(DRAFTS_BELOW).flatMap(([folder, draft]) =>
    namesIn(join(dataDir, folder))
      .filter((name) => draft.test(name))
      .map((name) => join(folder, name)),
  );
  return [...found, ...below].map((name) => join(dataDir, name));
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

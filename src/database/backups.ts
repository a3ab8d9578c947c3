import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';

const KEPT = 5;
const NAME = /^mcp-runner-\d{8}T\d{6}\.\d{3}Z-(?<tag>.+)\.sqlite$/;

/** Whole copies of the database, each from before a migration: `mcp-runner-<time>-<last migration in it>.sqlite`. */
export class Backups {
  constructor(readonly folder: string) {}

  /** The newest one whose last migration is one of `tags`. */
  newest(tags: string[]): string | undefined {
    const name = this.list().find((name) => tags.includes(tagOf(name)));
    return name === undefined ? undefined : join(this.folder, name);
  }

  /** Copy what `connection` sees. A file of that name is whole and on disk, or not there. */
  make(connection: BetterSqlite3.Database, tag: string, now: Date): string {
    const draft = join(this.folder, 'draft');
    const path = join(this.folder, `mcp-runner-${now.toISOString().replaceAll(/[-:]/g, '')}-${tag}.sqlite`);
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
    try {
      rmSync(draft, { force: true });
      // SQLite would make it readable for all, but takes an empty one as it is. Rows hold the environment of servers.
      writeFileSync(draft, '', { mode: 0o600 });
      connection.prepare('VACUUM INTO ?').run(draft);
      syncToDisk(draft);
      renameSync(draft, path);
      syncToDisk(this.folder);
    } catch (error) {
      rmSync(draft, { force: true });
      throw error;
    }
    this.prune();
    return path;
  }

  /**
   * A start that fails is tried again and again; so that its backups do not push out older versions', each version keeps
   * its newest only.
   */
  private prune(): void {
    const tags = new Set<string>();
    for (const name of this.list()) {
      if (tags.has(tagOf(name)) || tags.size === KEPT) rmSync(join(this.folder, name));
      else tags.add(tagOf(name));
    }
  }

  /** Newest first; whatever else lies in the folder is not ours. */
  private list(): string[] {
    try {
      return readdirSync(this.folder)
        .filter((name) => NAME.test(name))
        .sort()
        .toReversed();
    } catch {
      return [];
    }
  }
}

function tagOf(name: string): string {
  return NAME.exec(name)?.groups?.['tag'] ?? '';
}

/** A file's content, or the names in a folder. */
export function syncToDisk(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

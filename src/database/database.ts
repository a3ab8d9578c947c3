import { statSync } from 'node:fs';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type BetterSqlite3 from 'better-sqlite3';
import { sql } from 'drizzle-orm';
import { type BetterSQLite3Database, drizzle } from 'drizzle-orm/better-sqlite3';
import { Config } from '../config/config.js';
import { openConnection } from './connection.js';
import { DataDirLock } from './data-dir-lock.js';
import { DatabaseFile } from './database-file.js';
import { MIGRATIONS_FOLDER, readMigrations } from './migrations.js';
import { finishRestore } from './restored-state.js';
import { reasonOf, StartRefusal } from './start-refusal.js';

/** The one SQLite file. Ours alone, open and migrated from construction to shutdown. */
@Injectable()
export class Database implements OnApplicationShutdown {
  /** For intent: what is committed survives a power cut. */
  readonly orm: BetterSQLite3Database;
  /**
   * The same file, for what is written often and may lose its last moments at a power cut, though not when we crash:
   * sessions, activity. A commit does not wait for the disk. It is a connection of its own, so a write through it inside
   * of `atomically` would wait for a lock that only its own caller can release.
   */
  readonly relaxed: BetterSQLite3Database;
  private readonly path: string;
  private readonly lock: DataDirLock;
  private readonly full: BetterSqlite3.Database;
  private readonly normal: BetterSqlite3.Database;

  /** Throws a `StartRefusal` when another instance has the directory or the file cannot be used. */
  constructor(config: Config) {
    // Before anything else in the directory is looked at.
    this.lock = new DataDirLock(config.dataDir);
    try {
      finishWhatWasRestored(config.dataDir);
      const file = new DatabaseFile(config.dataDir, readMigrations(MIGRATIONS_FOLDER));
      file.prepare(new Date());
      this.path = file.path;
      this.full = openConnection(file.path, 'FULL');
      this.normal = openConnection(file.path, 'NORMAL');
    } catch (error) {
      this.lock.release();
      throw error;
    }
    this.orm = drizzle({ client: this.full, casing: 'snake_case' });
    this.relaxed = drizzle({ client: this.normal, casing: 'snake_case' });
  }

  /**
   * All that `work` does through `orm` happens, or none of it when it throws. May be nested: the inner one is undone alone
   * when its error is caught. `work` must not return a promise; that throws, and undoes it.
   */
  atomically<T>(work: () => T): T {
    return this.full.transaction(work).immediate();
  }

  /** Bytes on disk, with what is written but not yet in its place. Throws when it cannot be looked at. */
  size(): number {
    return [this.path, `${this.path}-wal`]
      .map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Throws when the file cannot be read. */
  check(): void {
    this.orm.get(sql`select 1 from deployments limit 1`);
  }

  onApplicationShutdown(): void {
    this.normal.close();
    this.full.close();
    this.lock.release();
  }
}

function finishWhatWasRestored(dataDir: string): void {
  try {
    finishRestore(dataDir);
  } catch (error) {
    throw new StartRefusal(
      `A restore of ${dataDir} that was cut off cannot be finished (${reasonOf(error)}). Mend that and start again.`,
      { cause: error },
    );
  }
}

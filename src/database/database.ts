import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import BetterSqlite3 from 'better-sqlite3';
import { sql } from 'drizzle-orm';
import { type BetterSQLite3Database, drizzle } from 'drizzle-orm/better-sqlite3';
import { migrate } from 'drizzle-orm/better-sqlite3/migrator';
import { Config } from '../config/config.js';

// The same from src/database and from dist/database: migrations are not compiled, they stay in the package's root.
const MIGRATIONS = join(import.meta.dirname, '..', '..', 'drizzle');

/** The one SQLite file. Open and migrated from construction to shutdown. */
@Injectable()
export class Database implements OnApplicationShutdown {
  readonly orm: BetterSQLite3Database;
  private readonly connection: BetterSqlite3.Database;

  constructor(config: Config) {
    mkdirSync(config.dataDir, { recursive: true, mode: 0o711 });
    const path = join(config.dataDir, 'mcp-runner.sqlite');
    this.connection = new BetterSqlite3(path);
    // Rows hold the environment of servers. SQLite gives its -wal and -shm files the mode of this one.
    chmodSync(path, 0o600);
    for (const pragma of [
      'journal_mode = WAL',
      'synchronous = FULL',
      'foreign_keys = ON',
      'busy_timeout = 5000',
    ]) {
      this.connection.pragma(pragma);
    }
    this.orm = drizzle({ client: this.connection, casing: 'snake_case' });
    migrate(this.orm, { migrationsFolder: MIGRATIONS });
  }

  /** Throws when the file cannot be read. */
  check(): void {
    this.orm.get(sql`select 1 from deployments limit 1`);
  }

  onApplicationShutdown(): void {
    this.connection.close();
  }
}

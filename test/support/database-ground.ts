import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { openConnection } from '../../src/database/connection.js';
import { DatabaseFile } from '../../src/database/database-file.js';
import { type Migration, readMigrations } from '../../src/database/migrations.js';
import { StartRefusal } from '../../src/database/start-refusal.js';

/** The migrations that we ship. */
export const OURS = readMigrations(new URL('../../drizzle', import.meta.url).pathname);
export const NOW = new Date('2030-01-02T03:04:05.678Z');
export const TENANTS = 200;

/** One that comes `after` ms after ours. */
export function migration(tag: string, after: number, ...statements: string[]): Migration {
  return { tag, when: (OURS.at(-1)?.when ?? 0) + after, hash: tag, statements };
}

/** What `work` sees in a database, whose connection is closed afterwards. */
export function sqlite<T>(file: string, work: (connection: BetterSqlite3.Database) => T): T {
  const connection = new BetterSqlite3(file);
  try {
    return work(connection);
  } finally {
    connection.close();
  }
}

export function tenantsIn(file: string): unknown {
  return sqlite(file, (connection) => connection.prepare('SELECT count(*) FROM tenants').pluck().get());
}

/** A data directory with a database file in it that a service starts on, again and again. */
export class DatabaseGround {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'mcp-runner-file-'));
  readonly path = join(this.dataDir, 'mcp-runner.sqlite');
  readonly backups = join(this.dataDir, 'backups');

  prepare(migrations: Migration[] = OURS, now: Date = NOW): void {
    new DatabaseFile(this.dataDir, migrations).prepare(now);
  }

  /** A file that a service has used. */
  make(migrations: Migration[] = OURS): void {
    this.prepare(migrations);
    openConnection(this.path, 'FULL').close();
  }

  fill(): void {
    sqlite(this.path, (connection) => {
      const insert = connection.prepare('INSERT INTO tenants VALUES (?, 0)');
      const all = connection.transaction(() => {
        for (let i = 0; i < TENANTS; i += 1) insert.run(`tn_${i}`.padEnd(100, 'x'));
      });
      all();
    });
  }

  /** What the next start says, in one line; insists that the database is the same afterwards, byte by byte. */
  refusal(migrations: Migration[] = OURS): string {
    const before = this.content();
    const said = this.failure(migrations);
    if (!said.includes(this.path) || said.includes('\n')) throw new Error(`That is no good: ${said}`);
    if (this.content() !== before) throw new Error(`It has changed something and said: ${said}`);
    return said;
  }

  remove(): void {
    rmSync(this.dataDir, { recursive: true });
  }

  private failure(migrations: Migration[]): string {
    try {
      this.prepare(migrations);
    } catch (error) {
      if (error instanceof StartRefusal) return error.message;
      throw error;
    }
    throw new Error('It is not refused');
  }

  /** A -shm file, and a -wal file with nothing in it, belong to whoever reads. */
  private content(): string {
    const files = readdirSync(this.dataDir, { withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('-shm'))
      .map(({ name }) => ({ name, bytes: readFileSync(join(this.dataDir, name)) }))
      .filter(({ bytes }) => bytes.length > 0);
    return files
      .map(({ name, bytes }) => `${name} ${createHash('sha256').update(bytes).digest('hex')}`)
      .join();
  }
}

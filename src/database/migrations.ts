import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { reasonOf } from './start-refusal.js';

// The same from src/database and from dist/database: migrations are not compiled, they stay in the package's root.
export const MIGRATIONS_FOLDER = join(import.meta.dirname, '..', '..', 'drizzle');

/** One file of `drizzle/`. */
export interface Migration {
  tag: string;
  /** When it was generated, in ms: what a database remembers it by. */
  when: number;
  hash: string;
  statements: string[];
}

interface Journal {
  entries: { tag: string; when: number }[];
}

/** The migrations that drizzle-kit keeps in `folder`, in their order. */
export function readMigrations(folder: string): Migration[] {
  const journal = JSON.parse(readFileSync(join(folder, 'meta', '_journal.json'), 'utf8')) as Journal;
  return journal.entries.map(({ tag, when }) => {
    const text = readFileSync(join(folder, `${tag}.sql`), 'utf8');
    const hash = createHash('sha256').update(text).digest('hex');
    return { tag, when, hash, statements: text.split('--> statement-breakpoint') };
  });
}

/** `when` of every migration that was applied, oldest first; none if it is not a database of ours. */
export function appliedMigrations(connection: BetterSqlite3.Database): number[] {
  const table = connection
    .prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '__drizzle_migrations'")
    .get();
  if (table === undefined) return [];
  const rows = connection
    .prepare<[], number>('SELECT created_at FROM __drizzle_migrations ORDER BY created_at')
    .pluck();
  return rows.all().map(Number);
}

/**
 * Apply all of them or none, and keep the record that drizzle's own migrator would. That one creates its table outside of
 * the transaction, skips what is older than the last one applied, and cannot look at foreign keys before it commits.
 *
 * They are off meanwhile, which only works outside of a transaction: rebuilding a table drops the one that others refer to.
 */
export function applyMigrations(connection: BetterSqlite3.Database, migrations: Migration[]): void {
  connection.pragma('foreign_keys = OFF');
  try {
    connection
      .transaction(() => {
        connection.exec(
          'CREATE TABLE IF NOT EXISTS __drizzle_migrations (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)',
        );
        for (const migration of migrations) apply(connection, migration);
        requireForeignKeys(connection);
      })
      .immediate();
  } finally {
    connection.pragma('foreign_keys = ON');
  }
}

function apply(connection: BetterSqlite3.Database, { tag, when, hash, statements }: Migration): void {
  try {
    for (const statement of statements) connection.exec(statement);
    connection.prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)').run(hash, when);
  } catch (error) {
    throw new Error(`${tag}: ${reasonOf(error)}`, { cause: error });
  }
}

function requireForeignKeys(connection: BetterSqlite3.Database): void {
  const [violation] = connection.pragma('foreign_key_check') as { table: string; parent: string }[];
  if (violation === undefined) return;
  throw new Error(`rows of ${violation.table} would refer to rows of ${violation.parent} that do not exist`);
}

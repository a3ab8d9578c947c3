import BetterSqlite3 from 'better-sqlite3';
import { BUSY_MS } from './connection.js';
import { appliedMigrations, type Migration } from './migrations.js';
import { reasonOf } from './start-refusal.js';

/** What a database file is to this version of mcp-runner. */
export type DatabaseExam =
  | { state: 'same'; schema: SchemaVersion }
  | { state: 'older'; schema: SchemaVersion }
  /** Its last migration, in ms, which is unknown here. */
  | { state: 'newer'; when: number }
  | { state: 'damaged'; why: string }
  | { state: 'foreign'; why: string };

/** Its last migration. */
interface SchemaVersion {
  tag: string;
  when: number;
}

/** Reads all of it and changes nothing. Throws when it cannot be read at all. */
export function examineDatabase(path: string, migrations: Migration[]): DatabaseExam {
  let connection: BetterSqlite3.Database | undefined;
  try {
    connection = new BetterSqlite3(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
    const verdict = connection.pragma('integrity_check(1)', { simple: true });
    if (verdict !== 'ok') return { state: 'damaged', why: String(verdict).replaceAll(/\s+/g, ' ') };
    return judge(appliedMigrations(connection), migrations);
  } catch (error) {
    const code = error instanceof BetterSqlite3.SqliteError ? error.code : '';
    if (code === 'SQLITE_NOTADB') return { state: 'foreign', why: 'it is not an SQLite database' };
    if (code.startsWith('SQLITE_CORRUPT')) return { state: 'damaged', why: reasonOf(error) };
    throw error;
  } finally {
    connection?.close();
  }
}

function judge(applied: number[], migrations: Migration[]): DatabaseExam {
  if (applied[0] !== migrations[0]?.when) return { state: 'foreign', why: 'it is not one of mcp-runner' };
  const unknown = applied.findLast((when) => migrations.every((migration) => migration.when !== when));
  if (unknown !== undefined) return { state: 'newer', when: unknown };
  const last = migrations.findLast(({ when }) => applied.includes(when));
  if (last === undefined) return { state: 'foreign', why: 'it has no migrations' };
  const state = last === migrations.at(-1) ? 'same' : 'older';
  return { state, schema: { tag: last.tag, when: last.when } };
}

import { writeFileSync } from 'node:fs';
import BetterSqlite3 from 'better-sqlite3';
import { syncToDisk } from './backups.js';
import { BUSY_MS } from './connection.js';

/**
 * A whole copy of the database as it is at one moment, also while a service writes to it. The file must not exist; it is
 * readable for its owner only, and on disk when this returns.
 */
export function copyDatabase(source: string, target: string): void {
  const connection = new BetterSqlite3(source, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
  try {
    // SQLite would make it readable for all, but takes an empty one as it is. Rows hold the environment of servers.
    writeFileSync(target, '', { mode: 0o600, flag: 'wx' });
    connection.prepare('VACUUM INTO ?').run(target);
    syncToDisk(target);
  } finally {
    connection.close();
  }
}

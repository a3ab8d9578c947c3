import BetterSqlite3 from 'better-sqlite3';

/** How long a statement waits for another program that has the file, such as the sqlite3 shell. */
export const BUSY_MS = 5000;

/**
 * A connection for reading and writing. `FULL`: what is committed survives a power cut. `NORMAL`: it survives our own
 * end, but a power cut may take the last moments; the file stays sound either way.
 */
export function openConnection(path: string, synchronous: 'FULL' | 'NORMAL'): BetterSqlite3.Database {
  const connection = new BetterSqlite3(path, { fileMustExist: true, timeout: BUSY_MS });
  try {
    connection.pragma('journal_mode = WAL');
    connection.pragma(`synchronous = ${synchronous}`);
    connection.pragma('foreign_keys = ON');
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
}

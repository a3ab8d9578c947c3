import BetterSqlite3 from 'better-sqlite3';
import { BUSY_MS } from './connection.js';

/** What every version of the schema has: enough to tell whose the things on this machine are. */
export interface KnownDeployment {
  id: string;
  uid: number;
  status: string;
}

/** The deployments in a database file, also while a service writes to it. Changes nothing. */
export function deploymentsIn(path: string): KnownDeployment[] {
  const connection = new BetterSqlite3(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
  try {
    return connection.prepare<[], KnownDeployment>('SELECT id, uid, status FROM deployments').all();
  } finally {
    connection.close();
  }
}

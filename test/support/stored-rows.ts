import { join } from 'node:path';
import SQLite from 'better-sqlite3';
import type { Service } from './service.js';

/** The part of a row that says what the machine is to have. */
export interface StoredDeployment {
  id: string;
  status: string;
  uid: number;
  subnet_address: number;
  container_id: string | null;
  has_remains: 0 | 1;
  has_account: 0 | 1;
  warm_processes: number;
}

/** The rows as the file has them, also while the service runs or after it was killed. */
export function storedDeployments(service: Service): StoredDeployment[] {
  return all(service, 'select * from deployments') as StoredDeployment[];
}

/** Of these the id is kept as a hash only. */
export function storedSessions(service: Service): { deployment_id: string }[] {
  return all(service, 'select deployment_id from sessions') as { deployment_id: string }[];
}

/** As if nobody had used them for years. */
export function expireSessions(service: Service): void {
  withDatabase(service, false, (db) => db.exec('update sessions set last_used_at = 0'));
}

/** How many rows each table has. */
export function countRows(service: Service): Record<string, number> {
  return withDatabase(service, true, (db) => {
    const tables = db
      .prepare(`select name from sqlite_master where type = 'table'`)
      .pluck()
      .all() as string[];
    const count = (table: string): number =>
      db.prepare(`select count(*) from "${table}"`).pluck().get() as number;
    return Object.fromEntries(tables.map((table) => [table, count(table)]));
  });
}

function all(service: Service, query: string): unknown[] {
  return withDatabase(service, true, (db) => db.prepare(query).all());
}

function withDatabase<T>(service: Service, readonly: boolean, work: (db: SQLite.Database) => T): T {
  const db = new SQLite(join(service.dataDir, 'mcp-runner.sqlite'), { readonly });
  try {
    return work(db);
  } finally {
    db.close();
  }
}

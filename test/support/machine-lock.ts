import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import SQLite from 'better-sqlite3';

/** What tests keep between runs: packages and what images are made of. */
export const CACHE = env['MCP_RUNNER_TEST_CACHE'] ?? join(homedir(), '.cache', 'mcp-runner-test');

/** Kept from being closed, which would end the lock. */
const kept: SQLite.Database[] = [];
const WAIT_MS = 600_000;
const POLL_MS = 100;

/**
 * Does the work while no other process of this machine does work of the same name. The lock is the kernel's, on an empty
 * SQLite file because Node itself cannot lock; it ends with its holder, however that ends.
 */
export async function oneAtATime<T>(name: string, work: () => Promise<T>): Promise<T> {
  const file = open(name);
  try {
    const until = Date.now() + WAIT_MS;
    while (!take(file)) {
      if (Date.now() > until) throw new Error(`Somebody has held ${file.name} for ${WAIT_MS / 1000} s`);
      await delay(POLL_MS);
    }
    return await work();
  } finally {
    file.close();
  }
}

/** As long as this process lives; false where another one has it. */
export function takeAtOnce(name: string): boolean {
  const file = open(name);
  const isTaken = take(file);
  if (isTaken) kept.push(file);
  else file.close();
  return isTaken;
}

function open(name: string): SQLite.Database {
  mkdirSync(CACHE, { recursive: true });
  return new SQLite(join(CACHE, `${name}.lock`), { timeout: 0 });
}

function take(file: SQLite.Database): boolean {
  try {
    file.pragma('journal_mode = MEMORY');
    file.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof SQLite.SqliteError && error.code === 'SQLITE_BUSY') return false;
    throw error;
  }
}

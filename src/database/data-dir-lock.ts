import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { packageVersion } from '../config/package-version.js';
import { reasonOf, StartRefusal } from './start-refusal.js';

/** Somebody may look whether it is held, which takes a moment; whoever holds it holds it for longer. */
const PATIENCE_MS = 500;

/**
 * `lock`: the service, or a command that must not run beside it. `maintenance`: commands that may run beside the service,
 * but not beside each other.
 */
type LockName = 'lock' | 'maintenance';

/** Who holds it, as far as its file tells: that is only a hint. */
export interface LockHolder {
  pid: number | undefined;
  version: string | undefined;
}

/**
 * Keeps a second instance out of the data directory. The lock is the kernel's: it ends with this process, however that
 * ends, and children do not inherit it. It is taken on an SQLite file because Node itself cannot lock; the file stays
 * empty, so nothing in it can break. Nobody else in this process may open it: closing it would give the lock up.
 */
export class DataDirLock {
  private readonly connection: BetterSqlite3.Database;
  private readonly pidFile: string;

  /** Makes the directory if it is missing. Throws a `StartRefusal` when another process has it. */
  constructor(
    dataDir: string,
    private readonly name: LockName = 'lock',
  ) {
    const file = join(dataDir, name);
    this.pidFile = join(dataDir, `${name}.pid`);
    let connection: BetterSqlite3.Database | undefined;
    try {
      mkdirSync(dataDir, { recursive: true, mode: 0o711 });
      makePrivate(file);
      connection = new BetterSqlite3(file, { timeout: PATIENCE_MS });
      // Or a journal would lie beside it.
      connection.pragma('journal_mode = MEMORY');
      connection.exec('BEGIN EXCLUSIVE');
      writeFileSync(this.pidFile, `${process.pid}\n${packageVersion()}\n`, { mode: 0o600 });
    } catch (error) {
      connection?.close();
      throw this.refusal(dataDir, error);
    }
    this.connection = connection;
  }

  release(): void {
    rmSync(this.pidFile, { force: true });
    this.connection.close();
  }

  private refusal(dataDir: string, error: unknown): StartRefusal {
    if (isBusy(error)) {
      const { pid } = holderIn(this.pidFile);
      const who = pid === undefined || !isAlive(pid) ? '' : ` (pid ${pid})`;
      return new StartRefusal(
        this.name === 'lock'
          ? `Another instance of mcp-runner${who} uses ${dataDir}. Stop it, or give this one a DATA_DIR of its own.`
          : `Another command of mcp-runner${who} is at work on ${dataDir}. Wait for its end.`,
      );
    }
    return new StartRefusal(
      `DATA_DIR ${dataDir} cannot be used (${reasonOf(error)}). It has to be a directory that this user can write to.`,
      { cause: error },
    );
  }
}

/** Whose service has the directory; undefined: nobody's. Leaves everything as it is. Not for the holder itself. */
export function lockHolderOf(dataDir: string): LockHolder | undefined {
  let connection: BetterSqlite3.Database | undefined;
  try {
    connection = new BetterSqlite3(join(dataDir, 'lock'), {
      readonly: true,
      fileMustExist: true,
      timeout: 0,
    });
    connection.prepare('SELECT count(*) FROM sqlite_master').get();
    return undefined;
  } catch (error) {
    return isBusy(error) ? holderIn(join(dataDir, 'lock.pid')) : undefined;
  } finally {
    connection?.close();
  }
}

/** The file may be older than the lock, or from another pid namespace. */
function holderIn(pidFile: string): LockHolder {
  try {
    const [pid, version] = readFileSync(pidFile, 'utf8').split('\n');
    const number = Number(pid);
    const isPid = Number.isSafeInteger(number) && number > 0;
    return { pid: isPid ? number : undefined, version: version === '' ? undefined : version };
  } catch {
    return { pid: undefined, version: undefined };
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof BetterSqlite3.SqliteError && error.code === 'SQLITE_BUSY';
}

/** Whoever could open the file could lock us out. */
function makePrivate(file: string): void {
  try {
    writeFileSync(file, '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

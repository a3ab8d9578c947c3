import { chmodSync, existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { Backups, syncToDisk } from './backups.js';
import { BUSY_MS, openConnection } from './connection.js';
import { appliedMigrations, applyMigrations, type Migration } from './migrations.js';
import { reasonOf, StartRefusal } from './start-refusal.js';

/** The SQLite file between two runs: made if there is none, else checked and brought up to date. */
export class DatabaseFile {
  readonly path: string;
  private readonly backups: Backups;

  constructor(
    dataDir: string,
    private readonly migrations: Migration[],
  ) {
    this.path = join(dataDir, 'mcp-runner.sqlite');
    this.backups = new Backups(join(dataDir, 'backups'));
  }

  /** Throws a `StartRefusal`, with the file as it was, when it cannot be used. */
  prepare(now: Date): void {
    if (!existsSync(this.path)) {
      this.create();
      return;
    }
    const applied = this.inspect();
    // Whoever put a backup back may have made it readable for all.
    chmodSync(this.path, 0o600);
    const pending = this.migrations.filter(({ when }) => !applied.includes(when));
    if (pending.length > 0) this.upgrade(applied, pending, now);
  }

  /** Beside its place and then moved there: a file that exists is whole, and an empty one has been damaged. */
  private create(): void {
    const wal = `${this.path}-wal`;
    // SQLite would take it for the new file's.
    if (existsSync(wal) && statSync(wal).size > 0)
      throw this.refusal('is missing, but its -wal file is there', this.remedy());
    const draft = `${this.path}.draft`;
    try {
      for (const file of [wal, `${this.path}-shm`, draft, `${draft}-journal`]) rmSync(file, { force: true });
      // Rows hold the environment of servers. SQLite gives its -wal and -shm files the mode of this one.
      writeFileSync(draft, '', { mode: 0o600 });
      const connection = new BetterSqlite3(draft);
      try {
        applyMigrations(connection, this.migrations);
      } finally {
        connection.close();
      }
      renameSync(draft, this.path);
      syncToDisk(dirname(this.path));
    } catch (error) {
      throw this.refusal(`cannot be made (${reasonOf(error)})`, 'Is the disk full?', error);
    }
  }

  /** Which migrations it has; a file with anything wrong in it is refused. Read-only, or closing would write. */
  private inspect(): number[] {
    let connection: BetterSqlite3.Database | undefined;
    try {
      if (statSync(this.path).size === 0) throw this.refusal('is empty', this.remedy());
      connection = new BetterSqlite3(this.path, { readonly: true, timeout: BUSY_MS });
      // Not quick_check: it does not compare indexes with their tables, and a wrong one would give a uid or a subnet to
      // two deployments. Of a few megabytes this takes milliseconds.
      const verdict = connection.pragma('integrity_check(1)', { simple: true });
      if (verdict !== 'ok') throw this.refusal(`is damaged (${oneLine(verdict)})`, this.remedy());
      const applied = appliedMigrations(connection);
      this.requireOurs(applied);
      return applied;
    } catch (error) {
      throw error instanceof StartRefusal ? error : this.unreadable(error);
    } finally {
      connection?.close();
    }
  }

  private requireOurs(applied: number[]): void {
    if (applied[0] !== this.migrations[0]?.when)
      throw this.refusal('is not a database of mcp-runner', this.remedy());
    const unknown = applied.find((when) => this.migrations.every((migration) => migration.when !== when));
    if (unknown === undefined) return;
    throw this.refusal(
      `was made by a newer version of mcp-runner (its migration of ${new Date(unknown).toISOString()} is unknown here)`,
      `Upgrade mcp-runner. ${this.restoring() ?? ''}`,
    );
  }

  private upgrade(applied: number[], pending: Migration[], now: Date): void {
    const last = this.migrations.findLast(({ when }) => applied.includes(when))?.tag ?? 'none';
    let connection: BetterSqlite3.Database | undefined;
    let backup: string | undefined;
    try {
      connection = openConnection(this.path, 'FULL');
      backup = this.backups.make(connection, last, now);
      applyMigrations(connection, pending);
    } catch (error) {
      const failure =
        backup === undefined
          ? `was not migrated, because it cannot be backed up to ${this.backups.folder} (${reasonOf(error)})`
          : `could not be migrated (${reasonOf(error)})`;
      throw this.refusal(
        `${failure}; nothing in it has changed`,
        backup === undefined ? 'Is the disk full?' : 'Go back to the version before this one.',
        error,
      );
    } finally {
      connection?.close();
    }
  }

  private unreadable(error: unknown): StartRefusal {
    const code = error instanceof BetterSqlite3.SqliteError ? error.code : '';
    if (code === 'SQLITE_NOTADB') return this.refusal('is not an SQLite database', this.remedy(), error);
    if (code.startsWith('SQLITE_CORRUPT'))
      return this.refusal(`is damaged (${reasonOf(error)})`, this.remedy(), error);
    if (code.startsWith('SQLITE_BUSY'))
      return this.refusal('is locked by another program', 'End that one first.', error);
    return this.refusal(
      `cannot be read (${reasonOf(error)})`,
      'Look at its permissions and at the disk.',
      error,
    );
  }

  private remedy(): string {
    return (
      this.restoring() ??
      `There is no backup in ${this.backups.folder}. To begin without any deployment, move the file and its -wal and -shm files away.`
    );
  }

  /** The old -wal file must go: SQLite would mix it into the backup. */
  private restoring(): string | undefined {
    const backup = this.backups.newest(this.migrations.map(({ tag }) => tag));
    return (
      backup &&
      `To go back to the last backup, put ${backup} in its place and remove its -wal and -shm files.`
    );
  }

  private refusal(what: string, remedy: string, cause?: unknown): StartRefusal {
    return new StartRefusal(`The database ${this.path} ${what}. ${remedy}`.trimEnd(), { cause });
  }
}

function oneLine(text: unknown): string {
  return String(text).replaceAll(/\s+/g, ' ');
}

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type BetterSqlite3 from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DatabaseGround,
  migration,
  OURS,
  sqlite,
  TENANTS,
  tenantsIn,
} from '../../test/support/database-ground.js';

const PAGE = 4096;

let ground: DatabaseGround;

beforeEach(() => {
  ground = new DatabaseGround();
});

afterEach(() => {
  ground.remove();
});

function backupOf(time: string): string {
  return `mcp-runner-${time}-${OURS[0]?.tag}.sqlite`;
}

/** SQLite does not notice what is done to its catalogue until the file is opened again. */
function changeSchema<T>(work: (connection: BetterSqlite3.Database) => T): T {
  return sqlite(ground.path, (connection) => {
    connection.unsafeMode();
    connection.pragma('writable_schema = ON');
    return work(connection);
  });
}

describe('a database file', () => {
  it('is made whole and private, whatever an earlier try has left', () => {
    writeFileSync(`${ground.path}.draft`, 'half of it');
    writeFileSync(`${ground.path}.draft-journal`, 'half of it');
    ground.prepare();
    expect(readdirSync(ground.dataDir)).toEqual(['mcp-runner.sqlite']);
    expect(statSync(ground.path).mode & 0o777).toBe(0o600);
    expect(tenantsIn(ground.path)).toBe(0);
  });

  it('is not there when it could not be made', () => {
    expect(() => ground.prepare([...OURS, migration('0900_bad', 1, 'CREATE TABLE')])).toThrow(
      /cannot be made \(0900_bad: incomplete input\)/,
    );
    expect(() => readFileSync(ground.path)).toThrow('ENOENT');
    ground.prepare();
  });

  it('that is sound is left as it is, with no backup', () => {
    ground.make();
    ground.fill();
    const before = readFileSync(ground.path);
    ground.prepare();
    expect(readFileSync(ground.path).equals(before)).toBe(true);
    expect(readdirSync(ground.dataDir)).not.toContain('backups');
  });

  it('is refused with any one of its pages destroyed', () => {
    ground.make();
    ground.fill();
    const whole = readFileSync(ground.path);
    expect(whole.length).toBeGreaterThan(10 * PAGE);
    for (let at = 0; at < whole.length; at += PAGE) {
      writeFileSync(ground.path, Buffer.from(whole).fill(0xa5, at, at + PAGE));
      expect(ground.refusal()).toMatch(at === 0 ? /is not an SQLite database/ : /is damaged/);
    }
    writeFileSync(ground.path, whole);
    ground.prepare();
  });

  it('is refused when an index says something else than its table', () => {
    ground.make();
    ground.fill();
    sqlite(ground.path, (connection) => connection.exec('CREATE INDEX made_at ON tenants (created_at)'));
    const entry = changeSchema((connection) => {
      const row = connection.prepare("SELECT * FROM sqlite_master WHERE name = 'made_at'").raw().get();
      connection.exec("DELETE FROM sqlite_master WHERE name = 'made_at'");
      return row;
    });
    sqlite(ground.path, (connection) => connection.exec('UPDATE tenants SET created_at = 1'));
    changeSchema((connection) =>
      connection.prepare('INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)').run(entry),
    );
    expect(ground.refusal()).toMatch(/is damaged \(row \d+ missing from index made_at\)/);
  });

  it('that a killed service has left is refused without its journal being written into it', () => {
    ground.make();
    ground.fill();
    const killed = sqlite(ground.path, (connection) => {
      connection.exec("INSERT INTO tenants VALUES ('tn_new', 0)");
      return [readFileSync(ground.path), readFileSync(`${ground.path}-wal`)] as const;
    });
    writeFileSync(ground.path, Buffer.from(killed[0]).fill(0xa5, PAGE, 2 * PAGE));
    writeFileSync(`${ground.path}-wal`, killed[1]);
    expect(ground.refusal()).toContain('is damaged');
    writeFileSync(ground.path, killed[0]);
    ground.prepare();
    expect(tenantsIn(ground.path)).toBe(TENANTS + 1);
  });

  it.each([0, 1, 99, 511, PAGE, 3 * PAGE, 5 * PAGE + 7])(
    'is refused when only %i bytes of it are left',
    (length) => {
      ground.prepare();
      ground.fill();
      truncateSync(ground.path, length);
      expect(ground.refusal()).toMatch(
        /is empty|is not an SQLite database|is not a database of mcp-runner|is damaged/,
      );
    },
  );

  it('is refused when it is not an SQLite database, or not of ours', () => {
    writeFileSync(ground.path, 'a text that somebody has put here\n'.repeat(100));
    expect(ground.refusal()).toContain('is not an SQLite database');
    rmSync(ground.path);
    sqlite(ground.path, (connection) => connection.exec('CREATE TABLE songs (title text)'));
    expect(ground.refusal()).toContain('is not a database of mcp-runner');
  });

  it('is refused when it cannot be read', () => {
    mkdirSync(ground.path);
    expect(ground.refusal()).toContain('cannot be read (');
  });

  it('is refused when another program has it', () => {
    ground.make();
    sqlite(ground.path, (connection) => {
      connection.pragma('locking_mode = EXCLUSIVE');
      connection.exec('BEGIN EXCLUSIVE');
      expect(ground.refusal()).toContain('is locked by another program');
    });
  });

  it('that is missing is not made anew beside the journal of the old one', () => {
    writeFileSync(`${ground.path}-wal`, 'what was not yet in the file');
    expect(ground.refusal()).toContain('is missing, but its -wal file is there');
  });

  it('that is refused leads to the newest backup, or says that there is none', () => {
    ground.make();
    truncateSync(ground.path, PAGE);
    expect(ground.refusal()).toContain(`There is no backup in ${ground.backups}`);
    mkdirSync(ground.backups);
    for (const file of [
      backupOf('20300102T030405.678Z'),
      backupOf('20300102T030405.679Z'),
      backupOf('20290102T030405.678Z'),
      'z.sqlite',
    ])
      writeFileSync(join(ground.backups, file), '');
    expect(ground.refusal()).toContain(
      `put ${join(ground.backups, backupOf('20300102T030405.679Z'))} in its place`,
    );
  });
});

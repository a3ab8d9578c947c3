import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SQL, sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Config } from '../config/config.js';
import { Database } from './database.js';
import { StartRefusal } from './start-refusal.js';

let config: Config;
let database: Database;

beforeEach(() => {
  config = Object.assign(new Config(), { dataDir: mkdtempSync(join(tmpdir(), 'mcp-runner-database-')) });
  database = new Database(config);
});

afterEach(() => {
  database.onApplicationShutdown();
  rmSync(config.dataDir, { recursive: true });
});

function add(id: string): void {
  database.orm.run(sql`INSERT INTO tenants (id, created_at) VALUES (${id}, 0)`);
}

function addLater(): Promise<void> {
  add('tn_a');
  return Promise.resolve();
}

function tenants(orm = database.orm): string[] {
  return orm.all<{ id: string }>(sql`SELECT id FROM tenants ORDER BY id`).map(({ id }) => id);
}

function setting(orm: Database['orm'], pragma: SQL): unknown {
  return Object.values(orm.get<object>(pragma))[0];
}

describe('the database', () => {
  it('waits for the disk with intent, and does not where that is not asked for', () => {
    expect(setting(database.orm, sql`PRAGMA synchronous`)).toBe(2);
    expect(setting(database.relaxed, sql`PRAGMA synchronous`)).toBe(1);
    for (const orm of [database.orm, database.relaxed]) {
      expect(setting(orm, sql`PRAGMA journal_mode`)).toBe('wal');
      expect(setting(orm, sql`PRAGMA foreign_keys`)).toBe(1);
      expect(setting(orm, sql`PRAGMA busy_timeout`)).toBe(5000);
    }
  });

  it('shows what one connection has written to the other', () => {
    add('tn_a');
    expect(tenants(database.relaxed)).toEqual(['tn_a']);
    database.relaxed.run(sql`DELETE FROM tenants`);
    expect(tenants()).toEqual([]);
  });

  it('is readable for its owner only', () => {
    const files = readdirSync(config.dataDir).filter((name) => name.startsWith('mcp-runner.sqlite'));
    expect(files.sort()).toEqual(['mcp-runner.sqlite', 'mcp-runner.sqlite-shm', 'mcp-runner.sqlite-wal']);
    for (const name of files) expect(statSync(join(config.dataDir, name)).mode & 0o777).toBe(0o600);
  });

  it('keeps its directory from a second one, until it is closed', () => {
    expect(() => new Database(config)).toThrow(StartRefusal);
    add('tn_a');
    database.onApplicationShutdown();
    database = new Database(config);
    expect(tenants()).toEqual(['tn_a']);
  });

  it('lets the directory go when its file is refused', () => {
    const dataDir = join(config.dataDir, 'other');
    const other = Object.assign(new Config(), { dataDir });
    new Database(other).onApplicationShutdown();
    writeFileSync(join(dataDir, 'mcp-runner.sqlite'), 'not a database');
    expect(() => new Database(other)).toThrow('is not an SQLite database');
    rmSync(join(dataDir, 'mcp-runner.sqlite'));
    new Database(other).onApplicationShutdown();
  });
});

describe('atomically', () => {
  it('returns what the work returns, and keeps all of it', () => {
    const answer = database.atomically(() => {
      add('tn_a');
      add('tn_b');
      return 7;
    });
    expect([answer, tenants(database.relaxed)]).toEqual([7, ['tn_a', 'tn_b']]);
  });

  it('keeps nothing when the work throws, and passes the error on', () => {
    const error = new Error('no');
    const work = (): void => {
      add('tn_a');
      database.orm.transaction(() => add('tn_b'));
      throw error;
    };
    expect(() => database.atomically(work)).toThrow(error);
    expect(tenants()).toEqual([]);
    add('tn_c');
    expect(tenants(database.relaxed)).toEqual(['tn_c']);
  });

  it('undoes an inner one alone when the outer one catches its error', () => {
    database.atomically(() => {
      add('tn_a');
      expect(() =>
        database.atomically(() => {
          add('tn_b');
          throw new Error('no');
        }),
      ).toThrow('no');
      database.atomically(() => add('tn_c'));
    });
    expect(tenants()).toEqual(['tn_a', 'tn_c']);
  });

  it('has the lock for writing from the start', () => {
    database.relaxed.run(sql`PRAGMA busy_timeout = 0`);
    database.atomically(() => {
      expect(() => database.relaxed.run(sql`DELETE FROM tenants`)).toThrow(
        expect.objectContaining({ cause: expect.objectContaining({ code: 'SQLITE_BUSY' }) }),
      );
    });
    database.relaxed.run(sql`DELETE FROM tenants`);
  });

  it('refuses a promise, and keeps nothing of what led to it', () => {
    expect(() => database.atomically(addLater)).toThrow(TypeError);
    expect(tenants()).toEqual([]);
  });
});

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  DatabaseGround,
  migration,
  NOW,
  OURS,
  sqlite,
  TENANTS,
  tenantsIn,
} from '../../test/support/database-ground.js';

let ground: DatabaseGround;

beforeEach(() => {
  ground = new DatabaseGround();
});

afterEach(() => {
  ground.remove();
});

describe('a migration', () => {
  const adding = migration('0900_songs', 1, 'CREATE TABLE songs (title text)');

  it('is applied after a private backup, which the version before can go back to', () => {
    ground.make();
    ground.fill();
    ground.prepare([...OURS, adding]);
    const name = `mcp-runner-20300102T030405.678Z-${OURS.at(-1)?.tag}.sqlite`;
    expect(readdirSync(ground.backups)).toEqual([name]);
    expect(statSync(ground.backups).mode & 0o777).toBe(0o700);
    expect(statSync(join(ground.backups, name)).mode & 0o777).toBe(0o600);
    expect(sqlite(ground.path, (connection) => connection.prepare('SELECT * FROM songs').all())).toEqual([]);

    const said = ground.refusal(OURS);
    expect(said).toMatch(/was made by a newer version of mcp-runner .* Upgrade mcp-runner\. /);
    expect(said).toContain(join(ground.backups, name));
    writeFileSync(ground.path, readFileSync(join(ground.backups, name)));
    for (const file of ['-wal', '-shm']) rmSync(`${ground.path}${file}`, { force: true });
    ground.prepare();
    expect(tenantsIn(ground.path)).toBe(TENANTS);
  });

  it.each(OURS.slice(0, -1).map(({ tag }, index) => [tag, index + 1] as const))(
    'of ours takes a database of version %s, with what is in it, to the present',
    (tag, count) => {
      ground.make(OURS.slice(0, count));
      ground.fill();
      ground.prepare();
      expect(tenantsIn(ground.path)).toBe(TENANTS);
      expect(readdirSync(ground.backups)).toEqual([`mcp-runner-20300102T030405.678Z-${tag}.sqlite`]);
      ground.prepare();
    },
  );

  it('that fails leaves the database as it was, with those before it in the same run', () => {
    ground.make();
    ground.fill();
    const broken = migration('0901_broken', 2, 'DELETE FROM tenants', 'INSERT INTO nowhere VALUES (1)');
    const said = ground.refusal([...OURS, adding, broken]);
    expect(said).toContain('could not be migrated (0901_broken: no such table: nowhere)');
    expect(said).toContain('nothing in it has changed');
    expect(readdirSync(ground.backups)).toHaveLength(1);
    ground.prepare();
    expect(tenantsIn(ground.path)).toBe(TENANTS);
  });

  it('does not run when there can be no backup', () => {
    ground.make();
    writeFileSync(ground.backups, 'in the way');
    expect(ground.refusal([...OURS, adding])).toContain(`cannot be backed up to ${ground.backups} (EEXIST`);
    rmSync(ground.backups);
    ground.prepare();
  });

  it('may rebuild a table that others refer to', () => {
    ground.make();
    sqlite(ground.path, (connection) => {
      connection.exec("INSERT INTO tenants VALUES ('tn_a', 0)");
      connection.exec('CREATE TABLE rooms (tenant text REFERENCES tenants (id) ON DELETE CASCADE)');
      connection.exec("INSERT INTO rooms VALUES ('tn_a')");
    });
    // As drizzle-kit writes it.
    const rebuild = migration(
      '0900_rebuild',
      1,
      'PRAGMA foreign_keys=OFF;',
      'CREATE TABLE `__new_tenants` (`id` text PRIMARY KEY NOT NULL, `created_at` integer NOT NULL, `note` text);',
      'INSERT INTO `__new_tenants`("id", "created_at") SELECT "id", "created_at" FROM `tenants`;',
      'DROP TABLE `tenants`;',
      'ALTER TABLE `__new_tenants` RENAME TO `tenants`;',
      'PRAGMA foreign_keys=ON;',
    );
    ground.prepare([...OURS, rebuild]);
    sqlite(ground.path, (connection) => {
      expect(connection.prepare('SELECT tenant FROM rooms').pluck().all()).toEqual(['tn_a']);
      expect(() => connection.exec("INSERT INTO rooms VALUES ('tn_b')")).toThrow('FOREIGN KEY');
    });
  });

  it('that would leave a row without the one it refers to is undone', () => {
    ground.make();
    sqlite(ground.path, (connection) => {
      connection.exec("INSERT INTO tenants VALUES ('tn_a', 0)");
      connection.exec('CREATE TABLE rooms (tenant text REFERENCES tenants (id))');
      connection.exec("INSERT INTO rooms VALUES ('tn_a')");
    });
    expect(ground.refusal([...OURS, migration('0900_empty', 1, 'DELETE FROM tenants')])).toContain(
      'rows of rooms would refer to rows of tenants that do not exist',
    );
    expect(tenantsIn(ground.path)).toBe(1);
  });

  it('is not skipped when one that was generated later came first', () => {
    ground.make([...OURS, migration('0901_later', 2, 'CREATE TABLE later (id)')]);
    ground.prepare([...OURS, adding, migration('0901_later', 2, 'CREATE TABLE later (id)')]);
    expect(sqlite(ground.path, (connection) => connection.prepare('SELECT * FROM songs').all())).toEqual([]);
  });

  it('keeps five backups, the newest of each version, and what else lies there', () => {
    ground.make();
    mkdirSync(ground.backups);
    writeFileSync(join(ground.backups, 'my own copy.sqlite'), '');
    const known = [...OURS];
    for (let i = 1; i <= 7; i += 1) {
      const broken = migration(`090${i}_x`, i, 'SELECT');
      for (const second of [1, 2]) {
        const now = new Date(NOW.getTime() + (10 * i + second) * 1000);
        expect(() => ground.prepare([...known, broken], now)).toThrow('nothing in it has changed');
      }
      known.push({ ...broken, statements: [] });
      ground.prepare(known, new Date(NOW.getTime() + (10 * i + 3) * 1000));
    }
    expect(readdirSync(ground.backups).sort()).toEqual([
      'mcp-runner-20300102T030438.678Z-0902_x.sqlite',
      'mcp-runner-20300102T030448.678Z-0903_x.sqlite',
      'mcp-runner-20300102T030458.678Z-0904_x.sqlite',
      'mcp-runner-20300102T030508.678Z-0905_x.sqlite',
      'mcp-runner-20300102T030518.678Z-0906_x.sqlite',
      'my own copy.sqlite',
    ]);
  });
});

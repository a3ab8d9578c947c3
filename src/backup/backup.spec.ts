import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { deploymentsIn } from '../database/known-deployments.js';
import { sqlite } from '../../test/support/database-ground.js';
import { backUp } from './backup.js';
import { readArchive } from './backup-archive.js';
import { restore } from './restore.js';

const NOW = new Date('2030-01-02T03:04:05.678Z');
const LATER = new Date('2030-01-02T04:04:05.678Z');
const INSTANCE = '0123456789abcdef';

let fixture: DeploymentsFixture;
let folder: string;
let file: string;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  folder = mkdtempSync(join(tmpdir(), 'mcp-runner-backup-'));
  file = join(folder, 'state.tar');
  writeFileSync(join(dataDir(), 'instance-id'), `${INSTANCE}\n`, { mode: 0o600 });
  writeFileSync(join(dataDir(), 'api-key'), 'mcpr_first\n', { mode: 0o600 });
  mkdirSync(join(dataDir(), 'homes'), { mode: 0o700 });
});

afterEach(async () => {
  await fixture.dispose();
  rmSync(folder, { recursive: true });
});

function dataDir(): string {
  return fixture.config.dataDir;
}

function database(): string {
  return join(dataDir(), 'mcp-runner.sqlite');
}

function ids(path = database()): string[] {
  return deploymentsIn(path)
    .map(({ id }) => id)
    .sort();
}

function home(id: string, content: string): void {
  writeFileSync(join(dataDir(), 'homes', `${id}.img`), content);
}

function log(id: string, content: string): void {
  mkdirSync(join(dataDir(), 'logs', id), { recursive: true });
  writeFileSync(join(dataDir(), 'logs', id, '1.jsonl'), content);
}

/** As the next start does with what no row speaks of. */
function clean(id: string): void {
  rmSync(join(dataDir(), 'homes', `${id}.img`), { force: true });
  rmSync(join(dataDir(), 'logs', id), { recursive: true, force: true });
}

/** What the service has between two runs. */
async function stopped<T>(work: () => Promise<T>): Promise<T> {
  await fixture.shutDown();
  try {
    return await work();
  } finally {
    fixture = new DeploymentsFixture({ config: fixture.config });
  }
}

/** Every file with its content. */
function content(): string {
  return readdirSync(dataDir(), { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(dataDir(), name)).isFile() && !/-shm$|^lock/.test(name))
    .map((name) => `${name} ${readFileSync(join(dataDir(), name)).toString('base64')}`)
    .sort()
    .join('\n');
}

async function tarOf(entries: { name: string; content: string; type?: 'symlink' }[]): Promise<void> {
  const tar = pack();
  for (const { name, content: text, type } of entries)
    tar.entry({ name, ...(type && { type, linkname: '/etc/passwd' }) }, type ? '' : text);
  tar.finalize();
  await pipeline(tar, createWriteStream(file));
}

describe('a backup', () => {
  it('holds the database as the running service has it, and the keys, for its owner only', async () => {
    const { id } = fixture.rowIn('running');
    const backup = await backUp(dataDir(), file, false, NOW);
    expect(backup.manifest).toMatchObject({
      instanceId: INSTANCE,
      createdAt: NOW.toISOString(),
      deployments: 1,
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['state.tar']);
    // Any tar can read it.
    execFileSync('tar', ['-xf', file, '-C', folder]);
    expect(ids(join(folder, 'mcp-runner.sqlite'))).toEqual([id]);
    expect(readFileSync(join(folder, 'api-key'), 'utf8')).toBe('mcpr_first\n');
    expect(readFileSync(join(folder, 'instance-id'), 'utf8')).toBe(`${INSTANCE}\n`);
  });

  it('replaces a file only when it is told to, and leaves none when it cannot be made', async () => {
    writeFileSync(file, 'mine');
    await expect(backUp(dataDir(), file, false, NOW)).rejects.toThrow(`${file} is there already`);
    expect(readFileSync(file, 'utf8')).toBe('mine');
    await backUp(dataDir(), file, true, NOW);
    await expect(readArchive(file, undefined)).resolves.toMatchObject({ format: 1 });
    // One that was killed has left its draft.
    const draft = join(folder, '.state.tar-a1B2c3');
    mkdirSync(draft, { mode: 0o700 });
    for (const name of ['mcp-runner.sqlite', 'mcp-runner.sqlite-journal', 'archive'])
      writeFileSync(join(draft, name), 'half');
    await backUp(dataDir(), file, true, NOW);
    await expect(backUp(dataDir(), folder, true, NOW)).rejects.toThrow('is no file');
    await expect(backUp(dataDir(), join(folder, 'no/where'), false, NOW)).rejects.toThrow('no directory');
    await expect(backUp(folder, join(folder, 'x'), false, NOW)).rejects.toThrow('no state of mcp-runner');
    expect(readdirSync(folder)).toEqual(['state.tar']);
  });

  it('is not made of a database that is damaged', async () => {
    await stopped(async () => {
      const whole = readFileSync(database());
      writeFileSync(database(), Buffer.from(whole).fill(0xa5, 4096, 8192));
      await expect(backUp(dataDir(), file, false, NOW)).rejects.toThrow();
      expect(readdirSync(folder)).toEqual([]);
      writeFileSync(database(), whole);
    });
  });
});

describe('a restore', () => {
  it('brings back deployments and keys, sets the state before aside, and can be undone', async () => {
    const first = fixture.rowIn('paused').id;
    home(first, 'of the first');
    await backUp(dataDir(), file, false, NOW);
    const second = fixture.rowIn('paused').id;
    home(second, 'of the second');
    log(second, 'said by the second');
    writeFileSync(join(dataDir(), 'api-key'), 'mcpr_second\n');
    const done = await stopped(() => restore(dataDir(), file, LATER));
    expect(done).toMatchObject({ deployments: 1, strangers: 1, homeless: 0, canBeUndone: true });
    expect(ids()).toEqual([first]);
    expect(readFileSync(join(dataDir(), 'api-key'), 'utf8')).toBe('mcpr_first\n');
    const { aside } = done;
    expect(statSync(aside).mode & 0o777).toBe(0o700);
    clean(second);
    log('returning', 'half of one');
    await stopped(() => restore(dataDir(), aside, new Date(LATER.getTime() + 1)));
    expect(ids()).toEqual([first, second].sort());
    expect(readFileSync(join(dataDir(), 'api-key'), 'utf8')).toBe('mcpr_second\n');
    expect(readFileSync(join(dataDir(), 'homes', `${second}.img`), 'utf8')).toBe('of the second');
    expect(readFileSync(join(dataDir(), 'logs', second, '1.jsonl'), 'utf8')).toBe('said by the second');
    expect(readdirSync(join(dataDir(), 'logs'))).toEqual([second]);
    // Once it is deleted, nothing holds its disk.
    expect(statSync(join(dataDir(), 'homes', `${second}.img`)).nlink).toBe(1);
    expect(statSync(join(dataDir(), 'logs', second, '1.jsonl')).nlink).toBe(1);
  });

  it('that is undone leaves what it has kept where the deployment has another home by now', async () => {
    await backUp(dataDir(), file, false, NOW);
    const { id } = fixture.rowIn('paused');
    home(id, 'before');
    log(id, 'before');
    const { aside } = await stopped(() => restore(dataDir(), file, LATER));
    clean(id);
    home(id, 'after');
    log(id, 'after');
    await stopped(() => restore(dataDir(), aside, new Date(LATER.getTime() + 1)));
    expect(readFileSync(join(dataDir(), 'homes', `${id}.img`), 'utf8')).toBe('after');
    expect(readFileSync(join(aside, 'homes', `${id}.img`), 'utf8')).toBe('before');
    expect(readFileSync(join(dataDir(), 'logs', id, '1.jsonl'), 'utf8')).toBe('after');
    expect(readFileSync(join(aside, 'logs', id, '1.jsonl'), 'utf8')).toBe('before');
  });

  it('names the folder of what it has kept also where there was no database before', async () => {
    await backUp(dataDir(), file, false, NOW);
    const fresh = join(folder, 'fresh');
    mkdirSync(join(fresh, 'homes'), { recursive: true });
    writeFileSync(join(fresh, 'homes', 'dp_1.img'), 'of nobody');
    const done = await restore(fresh, file, LATER);
    expect(done).toMatchObject({ canBeUndone: false, strangers: 1 });
    expect(readFileSync(join(done.aside, 'homes', 'dp_1.img'), 'utf8')).toBe('of nobody');
  });

  it('of a machine that has none yet needs nothing there; of another instance says so', async () => {
    fixture.rowIn('paused');
    await backUp(dataDir(), file, false, NOW);
    const fresh = join(folder, 'fresh');
    mkdirSync(fresh);
    expect(await restore(fresh, file, LATER)).toMatchObject({
      deployments: 1,
      homeless: 1,
      instanceBefore: undefined,
    });
    const opened = new Database(Object.assign(new Config(), { dataDir: fresh }));
    opened.onApplicationShutdown();
    writeFileSync(join(fresh, 'instance-id'), 'fedcba9876543210\n');
    expect(await restore(fresh, file, new Date(LATER.getTime() + 1))).toMatchObject({
      instanceBefore: 'fedcba9876543210',
    });
  });

  it('of anything but a whole backup of ours is refused in words, and changes nothing', async () => {
    fixture.rowIn('paused');
    await backUp(dataDir(), file, false, NOW);
    const whole = readFileSync(file);
    const manifest = JSON.stringify(await readArchive(file, undefined));
    const refused = async (why: RegExp): Promise<void> => {
      await expect(restore(dataDir(), file, LATER)).rejects.toThrow(why);
    };
    await stopped(async () => {
      const before = content();
      for (const at of [600, 3000, whole.length - 2000]) {
        writeFileSync(file, Buffer.from(whole).fill(0x5a, at, at + 16));
        await refused(/is not restored: /);
      }
      for (const length of [0, 100, 512, 1500, 8192, whole.length - 1024 - 512]) {
        writeFileSync(file, whole);
        truncateSync(file, length);
        await refused(/is not restored: It (is|holds|does)/);
      }
      writeFileSync(file, 'no tar at all '.repeat(100));
      await refused(/It is no whole tar file/);
      await tarOf([{ name: '../../etc/evil', content: 'x' }]);
      await refused(/does not begin with a manifest/);
      await tarOf([{ name: 'manifest.json', content: '{}' }]);
      await refused(/manifest is not one of mcp-runner/);
      await tarOf([{ name: 'manifest.json', content: '{"format":2}' }]);
      await refused(/A newer version of mcp-runner made it/);
      await tarOf([{ name: 'manifest.json', content: ' '.repeat(70_000) }]);
      await refused(/manifest is too large/);
      await tarOf([{ name: 'manifest.json', content: manifest.replace('"instance-id"', '"../x"') }]);
      await refused(/manifest is not one of mcp-runner/);
      await tarOf([
        { name: 'manifest.json', content: manifest },
        { name: '../../etc/evil', content: 'x' },
      ]);
      await refused(/parts are not those of its manifest/);
      await tarOf([
        { name: 'manifest.json', content: manifest },
        { name: 'mcp-runner.sqlite', content: '', type: 'symlink' },
      ]);
      await refused(/something that is no file/);
      await expect(restore(dataDir(), join(folder, 'none'), LATER)).rejects.toThrow('There is no');
      await expect(restore(dataDir(), folder, LATER)).rejects.toThrow(
        'is no state that a restore has set aside',
      );
      expect(content()).toBe(before);
    });
  });

  it('of a newer schema is refused, of an older one is not', async () => {
    await backUp(dataDir(), file, false, NOW);
    await stopped(async () => {
      sqlite(database(), (connection) =>
        connection
          .prepare('INSERT INTO __drizzle_migrations (hash, created_at) VALUES (?, ?)')
          .run('x', 9e12),
      );
      const folderOfNewer = join(dataDir(), 'before-restore-20300101T000000.000Z');
      mkdirSync(folderOfNewer);
      writeFileSync(join(folderOfNewer, 'mcp-runner.sqlite'), readFileSync(database()));
      await expect(restore(dataDir(), folderOfNewer, LATER)).rejects.toThrow('made by a newer version');
      // The newer one is the present state, and may be left for the older one of the backup.
      expect(await restore(dataDir(), file, LATER)).toMatchObject({ deployments: 0 });
      rmSync(folderOfNewer, { recursive: true });
    });
  });

  it('begins anew where another one was cut off', async () => {
    await backUp(dataDir(), file, false, NOW);
    await stopped(async () => {
      writeFileSync(join(dataDir(), 'restore.draft'), 'half of it');
      await restore(dataDir(), file, LATER);
      expect(existsSync(join(dataDir(), 'restore.draft'))).toBe(false);
    });
  });
});

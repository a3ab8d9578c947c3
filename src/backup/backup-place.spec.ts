import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { backUp } from './backup.js';
import { readArchive } from './backup-archive.js';

/** What the file system says to a hard link; undefined: it makes it. */
const links = vi.hoisted(() => ({ refusal: undefined as string | undefined }));

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs')>();
  const linkSync: typeof real.linkSync = (from, to) => {
    if (links.refusal !== undefined) throw Object.assign(new Error('no link'), { code: links.refusal });
    real.linkSync(from, to);
  };
  return { ...real, linkSync };
});

const NOW = new Date('2030-01-02T03:04:05.678Z');

let fixture: DeploymentsFixture;
let folder: string;
let file: string;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  folder = mkdtempSync(join(tmpdir(), 'mcp-runner-backup-'));
  file = join(folder, 'state.tar');
  writeFileSync(join(dataDir(), 'instance-id'), '0123456789abcdef\n');
});

afterEach(async () => {
  links.refusal = undefined;
  await fixture.dispose();
  rmSync(folder, { recursive: true });
});

function dataDir(): string {
  return fixture.config.dataDir;
}

describe('the file of a backup', () => {
  it('appears also where there are no hard links, and replaces nothing there either', async () => {
    for (const refusal of ['EPERM', 'ENOTSUP', 'EOPNOTSUPP']) {
      links.refusal = refusal;
      await backUp(dataDir(), file, false, NOW);
      await expect(readArchive(file, undefined)).resolves.toMatchObject({ format: 1 });
      expect(readdirSync(folder)).toEqual(['state.tar']);
      rmSync(file);
      // It was not there when the backup began.
      symlinkSync('nowhere', file);
      await expect(backUp(dataDir(), file, false, NOW)).rejects.toThrow(`${file} is there already`);
      expect(readdirSync(folder)).toEqual(['state.tar']);
      rmSync(file);
    }
    links.refusal = 'EIO';
    await expect(backUp(dataDir(), file, false, NOW)).rejects.toThrow('no link');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves a folder beside it alone that only has the name of a draft', async () => {
    const closed = join(folder, '.state.tar-bbbbbb');
    mkdirSync(join(folder, '.state.tar-aaaaaa'), { mode: 0o755 });
    mkdirSync(closed, { mode: 0o700 });
    for (const name of ['mcp-runner.sqlite', 'notes']) writeFileSync(join(closed, name), 'mine');
    symlinkSync(closed, join(folder, '.state.tar-cccccc'));
    await backUp(dataDir(), file, false, NOW);
    expect(readdirSync(folder)).toHaveLength(4);
    expect(readFileSync(join(closed, 'notes'), 'utf8')).toBe('mine');
  });
});

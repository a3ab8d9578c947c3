import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { finishRestore, hasUnfinishedRestore, RestoredState } from './restored-state.js';

/** How many more changes of the disk this process lives to make. */
const life = vi.hoisted(() => ({ left: Infinity }));

const mortal = vi.hoisted(() => <A extends unknown[], R>(change: (...args: A) => R) => {
  return (...args: A): R => {
    if (life.left <= 0) throw new Error('killed');
    life.left -= 1;
    return change(...args);
  };
});

vi.mock('node:fs', async (importOriginal) => {
  const real = await importOriginal<typeof import('node:fs')>();
  return {
    ...real,
    mkdirSync: mortal(real.mkdirSync),
    renameSync: mortal(real.renameSync),
    rmSync: mortal(real.rmSync),
    writeFileSync: mortal(real.writeFileSync),
  };
});

const NOW = new Date('2030-01-02T03:04:05.678Z');
const OLD = {
  'mcp-runner.sqlite': 'old',
  'mcp-runner.sqlite-wal': 'old',
  'instance-id': 'old',
  'api-key': 'old',
};
const NEW = { 'mcp-runner.sqlite': 'new', 'instance-id': 'new' };

let dataDir: string;

beforeEach(() => {
  dataDir = fs.mkdtempSync(join(tmpdir(), 'mcp-runner-restored-'));
  for (const [name, content] of Object.entries(OLD)) fs.writeFileSync(join(dataDir, name), content);
});

afterEach(() => {
  life.left = Infinity;
  fs.rmSync(dataDir, { recursive: true });
});

function replace(): string {
  const state = new RestoredState(dataDir);
  for (const [name, content] of Object.entries(NEW)) fs.writeFileSync(join(state.newFiles, name), content);
  fs.writeFileSync(join(state.belongings, 'homes', 'dp_1.img'), 'home');
  fs.mkdirSync(join(state.belongings, 'logs', 'dp_1'));
  fs.writeFileSync(join(state.belongings, 'logs', 'dp_1', '1.jsonl'), 'log');
  return state.commit(NOW);
}

function filesIn(folder: string): Record<string, string> {
  const files = fs.readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(files.map(({ name }) => [name, fs.readFileSync(join(folder, name), 'utf8')]));
}

function finishOrDie(folder: string): string {
  try {
    finishRestore(folder);
    return 'finished';
  } catch (error) {
    return error instanceof Error ? error.message : 'thrown';
  }
}

describe('a state that takes the place of another', () => {
  it('leaves that one aside, with its journal and what the new one does not know', () => {
    const aside = replace();
    expect(filesIn(dataDir)).toEqual(NEW);
    expect(filesIn(aside)).toEqual(OLD);
    expect(filesIn(join(aside, 'homes'))).toEqual({ 'dp_1.img': 'home' });
    expect(filesIn(join(aside, 'logs', 'dp_1'))).toEqual({ '1.jsonl': 'log' });
    expect(fs.readdirSync(dataDir).filter((name) => name.startsWith('restore'))).toEqual([]);
  });

  it('is there wholly or not at all, at whatever step this process is killed, and killed again', () => {
    const seen = new Set<string>();
    for (let steps = 0; !seen.has('done'); steps += 1) {
      fs.rmSync(dataDir, { recursive: true });
      fs.mkdirSync(dataDir);
      for (const [name, content] of Object.entries(OLD)) fs.writeFileSync(join(dataDir, name), content);
      life.left = steps;
      try {
        replace();
        seen.add('done');
      } catch {
        // At the next start, which is killed after each step as well.
        for (let more = 0; more < 3; more += 1) {
          life.left = more;
          expect(finishOrDie(dataDir)).toMatch(/^(finished|killed)$/);
        }
      } finally {
        life.left = Infinity;
      }
      finishRestore(dataDir);
      expect(hasUnfinishedRestore(dataDir)).toBe(false);
      const isNew = fs.readFileSync(join(dataDir, 'instance-id'), 'utf8') === 'new';
      seen.add(isNew ? 'new' : 'old');
      expect(filesIn(dataDir)).toEqual(isNew ? NEW : OLD);
      // Nothing of the old one is lost.
      const aside = join(dataDir, 'before-restore-20300102T030405.678Z');
      if (!isNew) continue;
      expect(filesIn(aside)).toEqual(OLD);
      expect(filesIn(join(aside, 'logs', 'dp_1'))).toEqual({ '1.jsonl': 'log' });
    }
    expect([...seen].sort()).toEqual(['done', 'new', 'old']);
  });
});

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataDirLock, lockHolderOf } from './data-dir-lock.js';
import { StartRefusal } from './start-refusal.js';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'mcp-runner-lock-'));
});

afterEach(() => {
  rmSync(dataDir, { recursive: true });
});

/** What another process gets that wants the same lock. */
function askFromOutside(): string {
  const sqlite = createRequire(import.meta.url).resolve('better-sqlite3');
  const script = `
    const Sqlite = require(${JSON.stringify(sqlite)});
    const file = new Sqlite(${JSON.stringify(join(dataDir, 'lock'))}, { timeout: 0 });
    try { file.exec('BEGIN EXCLUSIVE'); console.log('locked'); } catch (error) { console.log(error.code); }`;
  return execFileSync(process.execPath, ['--eval', script], { encoding: 'utf8' }).trim();
}

describe('the lock of the data directory', () => {
  it('is had by one, until that one releases it; a refusal names directory and process', () => {
    const first = new DataDirLock(dataDir);
    expect(() => new DataDirLock(dataDir)).toThrow(StartRefusal);
    expect(() => new DataDirLock(dataDir)).toThrow(
      `Another instance of mcp-runner (pid ${process.pid}) uses ${dataDir}.`,
    );
    first.release();
    new DataDirLock(dataDir).release();
  });

  it('is the kernel’s: another process does not get it, not even after a refusal in this one', () => {
    const first = new DataDirLock(dataDir);
    expect(askFromOutside()).toBe('SQLITE_BUSY');
    expect(() => new DataDirLock(dataDir)).toThrow(StartRefusal);
    expect(askFromOutside()).toBe('SQLITE_BUSY');
    first.release();
    expect(askFromOutside()).toBe('locked');
  });

  it('leaves the directory as it was when it is refused', () => {
    const first = new DataDirLock(dataDir);
    // By name and time: to open the lock and close it again would give it up.
    const content = (): unknown[] =>
      readdirSync(dataDir).map((name) => [name, statSync(join(dataDir, name)).mtimeMs]);
    const before = content();
    expect(() => new DataDirLock(dataDir)).toThrow(StartRefusal);
    expect(content()).toEqual(before);
    first.release();
  });

  it('does not name a process that is gone', () => {
    const first = new DataDirLock(dataDir);
    const gone = spawnSync(process.execPath, ['--version']).pid;
    writeFileSync(join(dataDir, 'lock.pid'), `${gone}\n`);
    expect(() => new DataDirLock(dataDir)).toThrow(`Another instance of mcp-runner uses ${dataDir}.`);
    first.release();
  });

  it('takes files that a killed instance has left', () => {
    writeFileSync(join(dataDir, 'lock'), '');
    writeFileSync(join(dataDir, 'lock.pid'), `${process.pid}\n`);
    new DataDirLock(dataDir).release();
    expect(readdirSync(dataDir)).toEqual(['lock']);
  });

  it('makes a directory that is missing, passable but private, and a lock that only we can open', () => {
    const deeper = join(dataDir, 'a', 'b');
    const lock = new DataDirLock(deeper);
    expect(statSync(deeper).mode & 0o777).toBe(0o711);
    expect(statSync(join(deeper, 'lock')).mode & 0o777).toBe(0o600);
    lock.release();
  });

  it('says so when DATA_DIR is no directory', () => {
    const file = join(dataDir, 'file');
    writeFileSync(file, '');
    expect(() => new DataDirLock(file)).toThrow(`DATA_DIR ${file} cannot be used (EEXIST`);
  });

  it('tells others who has it, and of which version, without getting in the way', () => {
    expect(lockHolderOf(dataDir)).toBeUndefined();
    expect(readdirSync(dataDir)).toEqual([]);
    const sqlite = createRequire(import.meta.url).resolve('better-sqlite3');
    const lock = join(dataDir, 'lock');
    new DataDirLock(dataDir).release();
    writeFileSync(join(dataDir, 'lock.pid'), '4711\n1.2.3\n');
    expect(lockHolderOf(dataDir)).toBeUndefined();
    const holder = spawn(process.execPath, [
      '--eval',
      `const file = new (require(${JSON.stringify(sqlite)}))(${JSON.stringify(lock)});
       file.exec('BEGIN EXCLUSIVE'); console.log('held'); process.stdin.resume();`,
    ]);
    return new Promise<void>((resolve, reject) => {
      holder.stdout.once('data', () => {
        try {
          expect(lockHolderOf(dataDir)).toEqual({ pid: 4711, version: '1.2.3' });
          writeFileSync(join(dataDir, 'lock.pid'), '4711\n');
          expect(lockHolderOf(dataDir)).toEqual({ pid: 4711, version: undefined });
        } catch (error) {
          reject(error);
        } finally {
          holder.once('exit', () => resolve()).kill();
        }
      });
    });
  });

  it('is another one for commands, which run beside the service but not beside each other', () => {
    const service = new DataDirLock(dataDir);
    const command = new DataDirLock(dataDir, 'maintenance');
    expect(() => new DataDirLock(dataDir, 'maintenance')).toThrow(
      `Another command of mcp-runner (pid ${process.pid}) is at work on ${dataDir}. Wait for its end.`,
    );
    command.release();
    new DataDirLock(dataDir, 'maintenance').release();
    expect(askFromOutside()).toBe('SQLITE_BUSY');
    service.release();
  });
});

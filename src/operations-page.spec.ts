import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROGRESS_CODES } from './deployments/deployment.js';
import { ERRORS } from './errors/error-codes.js';

const ROOT = join(import.meta.dirname, '..');
const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');

/** The cells of every row of the page's tables. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.split('|').map((cell) => cell.trim()));

/** Promises: what is said, `file`, and the name of a test in it. */
const held = rows.flatMap(([, promise = '', file = '', name = '']) => {
  const path = /^`((?:src|test)\/[\w./-]+\.spec\.ts)`$/.exec(file)?.[1];
  return path === undefined ? [] : [{ promise, path, name }];
});

describe('docs/operations.md', () => {
  it('says what to do about every code, and knows no other', () => {
    const explained = rows.flatMap(([, code = '']) => /^`([a-z]+(?:_[a-z]+)*)`$/.exec(code)?.[1] ?? []);
    expect(explained.toSorted()).toEqual([...Object.keys(ERRORS), ...PROGRESS_CODES].toSorted());
  });

  it('has enough promises to be worth a look', () => {
    expect(held.length).toBeGreaterThan(30);
  });

  it.each(held)('"$promise" is held by a test of that name', ({ path, name }) => {
    expect(existsSync(join(ROOT, path))).toBe(true);
    const source = readFileSync(join(ROOT, path), 'utf8');
    const names = ["'", '"', '`'].map((quote) => `${quote}${name}${quote}`);
    expect(name).not.toBe('');
    expect(names.some((text) => source.includes(text))).toBe(true);
  });
});

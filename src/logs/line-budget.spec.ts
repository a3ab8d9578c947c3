import { expect, it } from 'vitest';
import { LineBudget, LINES_PER_SECOND } from './line-budget.js';

function taken(budget: LineBudget, bytes: number, now: number): number {
  let lines = 0;
  while (budget.take(bytes, now)) lines++;
  return lines;
}

it('a burst is let through, then so many lines a second, and long lines count for more', () => {
  const budget = new LineBudget();
  expect(taken(budget, 10, 1_000_000)).toBe(5000);
  expect(taken(budget, 10, 1_000_000)).toBe(0);
  expect(taken(budget, 10, 1_002_000)).toBe(2 * LINES_PER_SECOND);
  expect(taken(budget, 4096, 1_003_000)).toBe(LINES_PER_SECOND / 4);
  expect(taken(budget, 10, 9_000_000)).toBe(5000);
  // The clock is set back.
  expect(taken(budget, 10, 1_000_000)).toBe(0);
  expect(taken(budget, 10, 1_001_000)).toBe(LINES_PER_SECOND);
});

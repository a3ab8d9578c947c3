import { describe, expect, it } from 'vitest';
import { causeCodeOf, kindOf } from './error-kind.js';
import { ReportLimit } from './report-limit.js';

function fail(words: string): Error {
  return new Error(words);
}

describe('an error that repeats itself', () => {
  it('is reported once a minute, with how often it came in between', () => {
    const limit = new ReportLimit(20);
    expect(limit.admit('a', 0)).toBe(0);
    for (let i = 1; i <= 7; i += 1) expect(limit.admit('a', i)).toBeUndefined();
    expect(limit.admit('b', 8)).toBe(0);
    expect(limit.admit('a', 60_000)).toBe(7);
    expect(limit.admit('a', 120_000)).toBe(0);
  });

  it('is one of at most so many a minute, however many kinds there are', () => {
    const limit = new ReportLimit(20);
    const admitted = (now: number): number =>
      Array.from({ length: 5000 }, (_, i) => limit.admit(`kind ${i} ${now}`, now)).filter(
        (repeats) => repeats !== undefined,
      ).length;
    expect(admitted(0)).toBe(20);
    expect(admitted(59_999)).toBe(0);
    expect(admitted(60_000)).toBe(20);
  });

  it('is known by its class and place, not by its words', () => {
    const [first, second] = ['one', 'two'].map(fail);
    expect(kindOf(first)).toBe(kindOf(second));
    expect(kindOf(first)).not.toBe(kindOf(new Error('one')));
    expect(kindOf(first)).not.toContain('one');
  });

  it('tells the code of the nearest cause, also where causes go round', () => {
    const cause = Object.assign(new Error('x'), { code: 'SQLITE_BUSY' });
    expect(causeCodeOf(new Error('y', { cause }))).toBe('SQLITE_BUSY');
    const round = new Error('z');
    round.cause = round;
    expect(causeCodeOf(round)).toBeUndefined();
    expect(causeCodeOf('text')).toBeUndefined();
  });
});

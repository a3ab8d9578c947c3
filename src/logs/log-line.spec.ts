import { describe, expect, it } from 'vitest';
import { type KeptLine, parseKeptLine, plainTextOf, terminalSafeJson } from './log-line.js';

const LINE: KeptLine = {
  seq: 7,
  at: '2026-01-31T12:00:00.000Z',
  process: 3,
  session: null,
  stream: 'stderr',
  text: '\x1b]0;title\x07\x9b31m red\x7f \u202egnp.exe\u2028\u200b\ufeff\u2060\ttab 😀\r',
};

describe('a line of a hostile server', () => {
  it('reaches no terminal raw, and is the same for who parses it', () => {
    const json = terminalSafeJson(LINE);
    // eslint-disable-next-line no-control-regex
    expect(json).not.toMatch(/[\p{Cc}\p{Cf}\u2028]/u);
    expect(parseKeptLine(json)).toEqual(LINE);
  });

  it('is one line of plain text, with what a terminal would act on escaped', () => {
    expect(plainTextOf(LINE)).toBe(
      String.raw`2026-01-31T12:00:00.000Z 3 - stderr \u001b]0;title\u0007\u009b31m red\u007f \u202egnp.exe\u2028\u200b\ufeff\u2060` +
        '\ttab 😀' +
        String.raw`\u000d`,
    );
  });
});

it('what is no line is none', () => {
  for (const text of [
    '',
    '{',
    'null',
    '5',
    '[]',
    '{"seq":1,"processes":2}',
    '{"seq":"1","at":"","text":""}',
  ]) {
    expect(parseKeptLine(text)).toBeUndefined();
  }
});

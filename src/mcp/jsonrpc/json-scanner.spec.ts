import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../test/support/seeded-random.js';
import { requireEnd, scanArray, scanObject, startOf } from './json-scanner.js';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function scans(text: string): boolean {
  try {
    requireEnd(text, scanObject(text, startOf(text), []).end);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** Random JSON text with every freedom the grammar has: white space, escapes, number forms, strange keys. */
function randomJson(random: () => number, depth = 0): string {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const space = (): string => pick(['', '', '', ' ', '\t', '\r\n', '\n  ']);
  const string = (): string => {
    const parts = [
      'a',
      'id',
      'params',
      '_meta',
      '\\"',
      '\\\\',
      '\\u0069',
      '\\n',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '\u20ac',
      '\ud83d\ude80',
      '\u2028',
      '\\ud800',
      'x'.repeat(70),
    ];
    return `"${Array.from({ length: Math.floor(random() * 5) }, () => pick(parts)).join('')}"`;
  };
  const list = (item: () => string): string =>
    Array.from({ length: Math.floor(random() * 4) }, () => `${space()}${item()}${space()}`).join(',') ||
    space();
  const scalars = [
    '0',
    '-0',
    '1.0',
    '12345678901234567890123',
    '1e400',
    '-1.5E-7',
    '2e+3',
    'true',
    'false',
    'null',
  ];
  const kind = depth > 4 ? 0 : Math.floor(random() * 4);
  if (kind === 0) return pick(scalars);
  if (kind === 1) return string();
  if (kind === 2) return `[${list(() => randomJson(random, depth + 1))}]`;
  return `{${list(() => `${string()}${space()}:${space()}${randomJson(random, depth + 1)}`)}}`;
}

describe('the JSON scanner', () => {
  it('takes what JSON.parse takes and refuses what it refuses, for 3,000 random texts and 30,000 damaged ones', () => {
    const random = seededRandom(20261121);
    const damage = [
      '',
      '"',
      '\\',
      ',',
      ':',
      '{',
      '}',
      '[',
      ']',
      '0',
      '-',
      '.',
      'e',
      '+',
      'u',
      ' ',
      '\n',
      '\u0000',
      '\u001f',
      '\ufeff',
      'null',
      '\u00a0',
    ];
    for (let i = 0; i < 3000; i++) {
      const text = randomJson(random);
      expect(isJson(text), text).toBe(true);
      expect(scans(text), text).toBe(true);
      for (let j = 0; j < 10; j++) {
        const at = Math.floor(random() * (text.length + 1));
        const bad =
          text.slice(0, at) +
          (damage[Math.floor(random() * damage.length)] ?? '') +
          text.slice(at + Math.floor(random() * 3));
        if (scans(bad) !== isJson(bad)) expect.fail(`${JSON.stringify(bad)} scans: ${scans(bad)}`);
      }
    }
  });

  it.each([
    '',
    ' ',
    '{',
    '[',
    '"',
    '"\\',
    '"\\u12',
    '"\\u12g4"',
    '"\\x"',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,}',
    '{a:1}',
    "{'a':1}",
    '[1,]',
    '[,]',
    '[1 2]',
    '{"a":1 "b":2}',
    '[}',
    '{]',
    '[1}',
    '01',
    '+1',
    '-',
    '1.',
    '.5',
    '1e',
    '1e+',
    '0x1',
    'NaN',
    'Infinity',
    'tru',
    'nulll',
    'True',
    '1 1',
    '{}{}',
    '[]]',
    '"a\nb"',
    '"a\tb"',
    '\ufeff{}',
    '\u00a0{}',
    '// {}',
  ])('refuses %j', (text) => {
    expect(isJson(text)).toBe(false);
    expect(scans(text)).toBe(false);
  });

  it('tells where members stand to the character', () => {
    const text = ' {"a" : [1, {"id":2}] ,"id"\n:\t-1.50e+3 , "b":"x"} ';
    const { members, end } = scanObject(text, startOf(text), ['id', 'a', 'none']);
    const cut = (range?: { start: number; end: number }): string | undefined =>
      range && text.slice(range.start, range.end);
    expect(cut(members.id)).toBe('-1.50e+3');
    expect(cut(members.a)).toBe('[1, {"id":2}]');
    expect(members.none).toBeUndefined();
    expect(end).toBe(text.length - 1);
  });

  it('reads keys that are written with escapes', () => {
    const text = '{"\\u0069d":1,"i\\u0064x":2,"\\"id":3}';
    const { members } = scanObject(text, 0, ['id']);
    expect(members.id && text.slice(members.id.start, members.id.end)).toBe('1');
  });

  it('reports a name that stands twice, also when one is escaped, and not what is nested', () => {
    expect(scanObject('{"id":1,"\\u0069d":2}', 0, ['id']).repeated).toBe('id');
    expect(
      scanObject('{"id":1,"x":{"id":2},"y":["id"],"z":"\\"id\\":3"}', 0, ['id']).repeated,
    ).toBeUndefined();
  });

  it('finds nothing in what is no object, and no elements in what is no array', () => {
    for (const text of ['1', '"{}"', 'null', '[{"id":1}]']) {
      expect(scanObject(text, 0, ['id'])).toEqual({ members: {}, repeated: undefined, end: text.length });
    }
    expect(scanArray('{}', 0)).toBeUndefined();
    expect(scanArray('[ ]', 0)).toEqual({ elements: [], end: 3 });
  });

  it('reads a million levels of nesting without a stack of calls', () => {
    const depth = 1_000_000;
    expect(scans('['.repeat(depth) + ']'.repeat(depth))).toBe(true);
    expect(scans('{"a":'.repeat(depth) + '1' + '}'.repeat(depth))).toBe(true);
    expect(scans('['.repeat(depth))).toBe(false);
  });

  it.each([
    ['one string', () => `"${'x'.repeat(16 << 20)}"`],
    ['a string of escapes', () => `"${'\\"'.repeat(8 << 20)}"`],
    ['a string of backslashes', () => `"${'\\\\'.repeat(8 << 20)}"`],
    ['empty objects', () => `[${'{},'.repeat(5 << 20)}{}]`],
    ['numbers', () => `[${'1,'.repeat(8 << 20)}1]`],
    ['white space', () => `[${' '.repeat(16 << 20)}]`],
    ['one number', () => '1'.repeat(16 << 20)],
    ['brackets that never close', () => '['.repeat(16 << 20)],
    ['members', () => `{${'"abc":1,'.repeat(2 << 20)}"id":1}`],
  ])('reads 16 MB of %s in time that grows with the length alone', (_, make) => {
    const text = make();
    const began = performance.now();
    scans(text);
    // A bound for a busy machine; what is quadratic takes hours.
    expect(performance.now() - began).toBeLessThan(6000);
  });
});

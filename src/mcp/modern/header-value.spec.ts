import { describe, expect, it } from 'vitest';
import { decodeHeaderValue } from './header-value.js';

describe('a header value', () => {
  it.each([
    ['plain', 'plain'],
    ['  blanks around \t', 'blanks around'],
    ['', ''],
    ['a=b?c', 'a=b?c'],
    [`=?base64?${Buffer.from('Grüße 🎈').toString('base64')}?=`, 'Grüße 🎈'],
    [`=?base64?${Buffer.from(' kept ').toString('base64')}?=`, ' kept '],
    ['=?base64??=', ''],
  ])('%j stands for %j', (value, text) => {
    expect(decodeHeaderValue(value)).toBe(text);
  });

  it.each([
    ['bytes beyond ASCII', 'Gr\u00fc\u00dfe'],
    ['a control character', 'a\u0001b'],
    ['base64 that is none', '=?base64?a?='],
    ['base64 with rubbish', '=?base64?YQ==YQ==?='],
    ['base64 of what is not UTF-8', `=?base64?${Buffer.from([0xc3]).toString('base64')}?=`],
    ['base64 with foreign characters', '=?base64?YQ!!?='],
  ])('cannot be read when it is %s', (_what, value) => {
    expect(decodeHeaderValue(value)).toBeUndefined();
  });

  it.each(['=?BASE64?YQ==?=', '=?base64?YQ==', 'YQ==?='])(
    'is plain with other markers, or one: %s',
    (value) => {
      expect(decodeHeaderValue(value)).toBe(value);
    },
  );
});

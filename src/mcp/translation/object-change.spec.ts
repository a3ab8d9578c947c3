import { describe, expect, it } from 'vitest';
import { changed, type ObjectChange } from './object-change.js';

const isOurs = (name: string): boolean => name.startsWith('x/');

describe('a change of an object in JSON text', () => {
  const cases: [string, string, ObjectChange, string][] = [
    [
      'keeps the bytes of what it does not name',
      '{ "n" : 1.0e2 , "a":[1, 2]}',
      {},
      '{ "n" : 1.0e2 , "a":[1, 2]}',
    ],
    ['puts a member first', '{"n":1}', { put: { a: '2' } }, '{"a":2,"n":1}'],
    ['puts a member into an empty object', '{ }', { put: { a: '2' } }, '{"a":2 }'],
    [
      'puts a value in the place of the old one',
      '{"b":1, "a" : {"x":3},"c":1}',
      { put: { a: '2' } },
      '{"b":1, "a" : 2,"c":1}',
    ],
    ['puts it in all places of a repeated name', '{"a":1,"a":3}', { put: { a: '2' } }, '{"a":2,"a":2}'],
    ['fills in what is missing', '{"a":1}', { fill: { a: '2', b: '3' } }, '{"b":3,"a":1}'],
    ['drops the first member', '{"x/a":1, "b":2}', { drop: isOurs }, '{"b":2}'],
    ['drops the last member', '{"b":2 , "x/a":1 }', { drop: isOurs }, '{"b":2 }'],
    ['drops members between others', '{"b":2,"x/a":1,"x/b":1,"c":3}', { drop: isOurs }, '{"b":2,"c":3}'],
    [
      'drops several runs',
      '{"x/a":1,"b":2,"x/c":1,"d":1,"x/e":1,"x/f":1}',
      { drop: isOurs },
      '{"b":2,"d":1}',
    ],
    ['drops all', '{"x/a":1,"x/b":1}', { drop: isOurs }, '{}'],
    ['drops all and puts another', '{"x/a":1,"x/b":1}', { drop: isOurs, put: { c: '3' } }, '{"c":3}'],
    ['drops what is spelled with escapes', '{"\\u0078/a":1,"b":2}', { drop: isOurs }, '{"b":2}'],
    [
      'reaches inside',
      '{"p":{"m":{"x/a":1,"t":1.50},"q":1}}',
      { within: { p: { within: { m: { drop: isOurs } } } } },
      '{"p":{"m":{"t":1.50},"q":1}}',
    ],
    [
      'makes what it has to put something into',
      '{"i":1}',
      { within: { p: { within: { m: { put: { t: '1' } } } } } },
      '{"p":{"m":{"t":1}},"i":1}',
    ],
    [
      'makes nothing where it puts nothing',
      '{"i":1}',
      { within: { p: { within: { m: { drop: isOurs } } } } },
      '{"i":1}',
    ],
    [
      'replaces what is no object where it has to put something',
      '{"p":5,"i":1}',
      { within: { p: { put: { t: '1' } } } },
      '{"p":{"t":1},"i":1}',
    ],
    [
      'leaves what is no object where it puts nothing',
      '{"p":5}',
      { within: { p: { drop: isOurs } } },
      '{"p":5}',
    ],
    ['does not change what is no object', '[{"x/a":1}]', { drop: isOurs, put: { a: '1' } }, '[{"x/a":1}]'],
    [
      'knows names that objects inherit',
      '{"toString":1}',
      { put: { constructor: '1' } },
      '{"constructor":1,"toString":1}',
    ],
  ];
  it.each(cases)('%s', (_promise, text, change, expected) => {
    expect(changed(text, change)).toBe(expected);
  });

  it('does several things at once', () => {
    const text = '{"jsonrpc":"2.0","id":1,"result":{"big":12345678901234567890,"_meta":{"k":1}}}';
    const change: ObjectChange = {
      put: { id: '"a"' },
      within: { result: { put: { type: '"t"' }, within: { _meta: { fill: { s: '{}', k: '2' } } } } },
    };
    expect(changed(text, change)).toBe(
      '{"jsonrpc":"2.0","id":"a","result":{"type":"t","big":12345678901234567890,"_meta":{"s":{},"k":1}}}',
    );
  });
});

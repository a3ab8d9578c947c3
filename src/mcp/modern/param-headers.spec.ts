import { describe, expect, it } from 'vitest';
import { paramHeadersIn, requireParamHeaders } from './param-headers.js';

const SCHEMA = {
  type: 'object',
  properties: {
    region: { type: 'string', 'x-mcp-header': 'Region' },
    nested: { type: 'object', properties: { count: { type: 'integer', 'x-mcp-header': 'Count' } } },
    urgent: { type: 'boolean', 'x-mcp-header': 'Urgent' },
  },
};

function verdict(args: object | undefined, headers: Record<string, string>): string {
  try {
    requireParamHeaders(paramHeadersIn(SCHEMA), headers, args && JSON.stringify(args));
    return 'passes';
  } catch (error) {
    expect(error).toMatchObject({ status: 400, rpcCode: -32020 });
    return (error as Error).message;
  }
}

describe('headers that repeat arguments', () => {
  it('are those that a chain of properties declares', () => {
    expect(paramHeadersIn(SCHEMA)).toEqual([
      { header: 'Region', path: ['region'] },
      { header: 'Count', path: ['nested', 'count'] },
      { header: 'Urgent', path: ['urgent'] },
    ]);
  });

  it.each([
    ['nothing', undefined],
    ['no object', 'x'],
    ['a list of alternatives', { oneOf: [{ properties: { a: { 'x-mcp-header': 'A' } } }] }],
    ['items of a list', { properties: { a: { items: { 'x-mcp-header': 'A' } } } }],
    ['a name no header can have', { properties: { a: { 'x-mcp-header': 'A B\r\nX' } } }],
    ['a name that is no text', { properties: { a: { 'x-mcp-header': 7 } } }],
  ])('are none in %s', (_what, schema) => {
    expect(paramHeadersIn(schema)).toEqual([]);
  });

  it('are bounded in depth and number, whatever a server declares', () => {
    let deep: object = { 'x-mcp-header': 'Deep' };
    for (let i = 0; i < 10_000; i++) deep = { properties: { a: deep } };
    expect(paramHeadersIn(deep)).toEqual([]);
    const wide = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`p${i}`, { 'x-mcp-header': `H${i}` }]),
    );
    expect(paramHeadersIn({ properties: wide })).toHaveLength(100);
  });

  it.each([
    [
      'all of them',
      { region: 'eu', nested: { count: 42 }, urgent: true },
      { region: 'eu', count: '42', urgent: 'true' },
    ],
    ['only those whose argument is there', { region: 'eu' }, { region: 'eu' }],
    ['none for null', { region: null }, {}],
    ['none without arguments', undefined, {}],
    ['an encoded one', { region: 'ü' }, { region: '=?base64?w7w=?=' }],
    ['a number written another way', { nested: { count: 42.0 } }, { count: '42.0' }],
  ])('pass: %s', (_what, args, params) => {
    const headers = Object.entries(params).map(([name, value]) => [`mcp-param-${name}`, value]);
    expect(verdict(args, Object.fromEntries(headers) as Record<string, string>)).toBe('passes');
  });

  it.each([
    ['one is missing', { region: 'eu' }, {}, 'Mcp-Param-Region is missing'],
    ['one differs', { region: 'eu' }, { 'mcp-param-region': 'us' }, 'Mcp-Param-Region differs'],
    ['letters differ', { region: 'eu' }, { 'mcp-param-region': 'EU' }, 'Mcp-Param-Region differs'],
    ['a number is none', { nested: { count: 42 } }, { 'mcp-param-count': '0x2a' }, 'Mcp-Param-Count differs'],
    ['the argument is not there', {}, { 'mcp-param-region': 'eu' }, 'not there'],
    ['the argument is null', { region: null }, { 'mcp-param-region': 'eu' }, 'not there'],
    ['it cannot be read', { region: 'eu' }, { 'mcp-param-region': '=?base64?!?=' }, 'cannot be read'],
  ])('do not when %s', (_what, args, headers, message) => {
    expect(verdict(args, headers as Record<string, string>)).toContain(message);
  });
});

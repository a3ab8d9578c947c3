import { describe, expect, it } from 'vitest';
import { digestOf } from './request-digest.js';

const digest = (params: string, method = 'tools/call'): string => digestOf(method, params, 0);
const CALL = '{"name":"t","arguments":{"a":1,"b":["x",{"c":null}]}}';

describe('the digest of a request', () => {
  it.each([
    ['other blanks', '{ "name" : "t", "arguments" : {"a": 1,"b":["x", {"c":null}]}}'],
    ['another order', '{"arguments":{"b":["x",{"c":null}],"a":1},"name":"t"}'],
    ['other escapes', '{"na\\u006de":"\\u0074","arguments":{"a":1.0,"b":["x",{"c":null}]}}'],
    [
      'what a retry adds',
      '{"name":"t","arguments":{"a":1,"b":["x",{"c":null}]},"requestState":"s","inputResponses":{},"_meta":{"n":1}}',
    ],
  ])('is the same with %s', (_what, params) => {
    expect(digest(params)).toBe(digest(CALL));
  });

  it.each([
    ['name', '{"name":"u","arguments":{"a":1,"b":["x",{"c":null}]}}'],
    ['argument', '{"name":"t","arguments":{"a":2,"b":["x",{"c":null}]}}'],
    ['order in an array', '{"name":"t","arguments":{"a":1,"b":[{"c":null},"x"]}}'],
    ['further member', '{"name":"t","arguments":{"a":1,"b":["x",{"c":null}]},"more":1}'],
  ])('differs with another %s', (_what, params) => {
    expect(digest(params)).not.toBe(digest(CALL));
  });

  it('differs with another method, and knows requests without params', () => {
    expect(digest(CALL, 'prompts/get')).not.toBe(digest(CALL));
    expect(digestOf('tools/call', '{}', undefined)).toBe(digest('{}'));
  });

  it('compares what is large or nests deep as it is written', () => {
    const large = `{"a":${JSON.stringify({ s: 'x'.repeat(1 << 17) })}}`;
    const deep = `{"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`;
    expect(digest(large)).toBe(digest(large));
    expect(digest(deep)).toBe(digest(deep));
    expect(digest(deep)).not.toBe(digest(large));
  });
});

import { describe, expect, it } from 'vitest';
import { Redaction } from './redaction.js';

const SECRET = 'hunter2-hunter2';

describe('redaction', () => {
  it.each([
    'apiKey',
    'api_key',
    'x-api-key',
    'X-API-Key',
    'authorization',
    'Authorization',
    'proxy-authorization',
    'cookie',
    'Set-Cookie',
    'accessToken',
    'accessTokenHash',
    'token',
    'password',
    'client_secret',
    'sessionId',
    'mcp-session-id',
    'sentryDsn',
    'credentials',
  ])('hides the value of %s, at any depth and of any type', (name) => {
    const redaction = new Redaction();
    for (const value of [SECRET, [SECRET], { inner: SECRET }, 1234567, new Error(SECRET)]) {
      const shown = JSON.stringify(redaction.fields({ a: { b: [{ [name]: value }] }, [name]: value }));
      expect(shown).not.toMatch(/hunter2|1234567/);
      expect(shown.match(/\[redacted\]/g)).toHaveLength(2);
    }
  });

  it.each(['env', 'args', 'arguments', 'headers', 'body', 'params'])('hides all of %s', (name) => {
    const shown = new Redaction().fields({ [name]: { HOME: '/root', list: [SECRET] }, other: 'seen' });
    expect(shown).toEqual({ [name]: '[redacted]', other: 'seen' });
  });

  it('shows what is no secret', () => {
    const fields = {
      event: 'e',
      requestId: 'r-1',
      deploymentId: 'dp_1',
      code: 'ready',
      waitMs: 5,
      apiKey: undefined,
      hasToken: true,
      token: null,
      at: new Date(0),
      nested: { list: [1, 'two', false] },
    };
    expect(new Redaction().fields(fields)).toEqual({ ...fields, at: '1970-01-01T00:00:00.000Z' });
  });

  it.each([
    [`Authorization: Bearer ${SECRET}`, 'Authorization: Bearer [redacted]'],
    [`basic ${SECRET}==`, 'basic [redacted]'],
    ['key mcpr_0123456789abcdefABCDEF_-x and mcpt_0123456789abcdefABCDEF', 'key [redacted] and [redacted]'],
    [`POST /messages?sessionId=${SECRET}&x=1`, 'POST /messages?sessionId=[redacted]&x=1'],
    [`{"apiKey":"${SECRET}","x":1}`, '{"apiKey":"[redacted]","x":1}'],
    [
      `connect to https://user:${SECRET}@host.example/path failed`,
      'connect to https://[redacted]@host.example/path failed',
    ],
    ['nothing to see', 'nothing to see'],
  ])('of the text %j leaves %j', (text, left) => {
    expect(new Redaction().text(text)).toBe(left);
  });

  it('hides secrets that it knows wherever they stand: in texts, names, errors, causes', () => {
    const redaction = new Redaction([SECRET]);
    const error = new Error(`failed with ${SECRET}`, { cause: new Error(`because of ${SECRET}`) });
    const shown = JSON.stringify(
      redaction.fields({ error, [SECRET]: 1, url: new URL(`http://h/${SECRET}`), list: [SECRET] }),
    );
    expect(shown).not.toContain('hunter2');
    expect(shown).toContain('failed with [redacted]');
  });

  it('bounds what it shows: length, items, depth, circles', () => {
    const circle: Record<string, unknown> = { name: 'circle' };
    circle['self'] = circle;
    const fields = {
      circle,
      long: 'x'.repeat(1_000_000),
      many: Array.from({ length: 10_000 }, (_, i) => i),
      wide: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`n${i}`, i])),
      bytes: Buffer.alloc(1_000_000),
    };
    const shown = JSON.stringify(new Redaction().fields(fields));
    expect(shown.length).toBeLessThan(20_000);
    expect(shown).toContain('[1000000 bytes]');
  });

  it('does not cut a secret in two that stands where a text ends', () => {
    const redaction = new Redaction([SECRET]);
    for (let at = 8180; at < 8200; at++) {
      expect(redaction.text(`${'x'.repeat(at)}${SECRET}`)).not.toContain('hunter2');
    }
    for (const length of [1000, 1024, 2000, 100_000]) {
      expect(redaction.text(SECRET.repeat(length))).not.toContain('hunter2');
      expect(redaction.text(`x${SECRET}`.repeat(length))).not.toContain('hunter2');
    }
  });

  it('survives objects that fight back', () => {
    const hostile = {
      get trap(): string {
        throw new Error('no');
      },
    };
    expect(new Redaction().fields(hostile)).toEqual({ unreadable: true });
    const odd = { f: () => 1, s: Symbol('s'), n: 10n, d: new Date(Number.NaN) };
    expect(new Redaction().fields(odd)).toEqual({ f: '[function]', s: '[symbol]', n: '10', d: '[no date]' });
  });

  it('takes time that grows with the length alone', () => {
    const began = performance.now();
    for (const unit of ['bearer ', 'mcpr_', 'a://', 'sessionId', 'apiKey="', ' ']) {
      new Redaction([SECRET]).text(unit.repeat(200_000));
    }
    expect(performance.now() - began).toBeLessThan(2000);
  });
});

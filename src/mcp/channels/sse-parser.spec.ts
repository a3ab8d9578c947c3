import { describe, expect, it } from 'vitest';
import { SseParser } from './sse-parser.js';

function parse(text: string | Buffer, cut = 1 << 20, limit = 1 << 20): unknown[] {
  const parser = new SseParser(limit);
  const bytes = Buffer.from(text);
  const events: unknown[] = [];
  for (let at = 0; at < bytes.length; at += cut) events.push(...parser.push(bytes.subarray(at, at + cut)));
  return events;
}

describe('an event stream', () => {
  const SCRIPT = [
    ': hello',
    '',
    'id: 1',
    'data:',
    '',
    'event: endpoint',
    'data: /messages?x=ü😀',
    '',
    'data: {"a":',
    'data:1}',
    'retry: 250',
    'unknown: x',
    'id',
    '',
    'data: without an end',
  ];
  const EVENTS = [
    { type: 'message', data: '', id: '1' },
    { type: 'endpoint', data: '/messages?x=ü😀', id: '1' },
    { type: 'message', data: '{"a":\n1}', id: '' },
  ];

  it.each([
    ['LF', '\n'],
    ['CR', '\r'],
    ['CRLF', '\r\n'],
  ])('is the same with lines that end in %s, wherever it is cut', (_name, end) => {
    const text = `\ufeff${SCRIPT.join(end)}`;
    // An id that is empty cannot be resumed from.
    const expected = EVENTS.map((event) => ({ ...event, id: event.id === '' ? undefined : event.id }));
    for (let cut = 1; cut <= Buffer.byteLength(text); cut++)
      expect(parse(text, cut), `${cut}`).toEqual(expected);
  });

  it('may mix the ends of lines', () => {
    expect(parse('data: 1\r\ndata: 2\rdata: 3\n\r\ndata: 4\r\r')).toEqual([
      { type: 'message', data: '1\n2\n3', id: undefined },
      { type: 'message', data: '4', id: undefined },
    ]);
  });

  it('tells how long to wait before the next connection', () => {
    const parser = new SseParser(100);
    parser.push(Buffer.from('retry: 10\nretry: soon\nretry: 999999999999\n'));
    expect(parser.retryMs).toBe(10);
  });

  it('keeps no id that does not fit into a header', () => {
    expect(parse(`id: a\u0007b\ndata: 1\n\nid: ${'x'.repeat(2000)}\ndata: 2\n\n`)).toEqual([
      { type: 'message', data: '1', id: undefined },
      { type: 'message', data: '2', id: undefined },
    ]);
  });

  it.each([
    ['a line without end', `data: ${'x'.repeat(200)}`],
    ['a comment without end', `:${'x'.repeat(200)}`],
    ['an event of many lines', 'data: xxxxxxxxxx\n'.repeat(20)],
    ['an event of many empty lines of data', 'data\n'.repeat(200)],
  ])('is refused when it holds %s', (_name, text) => {
    for (const cut of [1, 7, 1000])
      expect(() => parse(text, cut, 100)).toThrow('an event of more than 100 bytes');
  });

  it('may hold any number of small events', () => {
    expect(parse('data: x\n\n'.repeat(1000), 64, 100)).toHaveLength(1000);
  });

  it('is refused when it is not UTF-8', () => {
    expect(() => parse(Buffer.from([...Buffer.from('data: '), 0xff, 0x0a, 0x0a]))).toThrow('not UTF-8');
  });
});

import { describe, expect, it } from 'vitest';
import { LineDecoder, LineTooLongError } from './line-decoder.js';

const MAX = 1000;

function decode(chunks: Buffer[], maxLineBytes = MAX): string[] {
  const lines: string[] = [];
  const decoder = new LineDecoder(maxLineBytes, (line) => lines.push(line.toString('utf8')));
  for (const chunk of chunks) decoder.push(chunk);
  return lines;
}

function inPieces(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

describe('LineDecoder', () => {
  const text =
    '{"a":"gr\u00fc\u00df \ud83d\ude80"}\r\n\n\r\n{"b":"\u20ac"}\n\n{"c":1}\r\n{"d":"\ud83c\udf0d"}\n';
  const expected = [
    '{"a":"gr\u00fc\u00df \ud83d\ude80"}',
    '{"b":"\u20ac"}',
    '{"c":1}',
    '{"d":"\ud83c\udf0d"}',
  ];

  it('gives the same lines wherever the bytes are cut in two', () => {
    const bytes = Buffer.from(text);
    for (let at = 0; at <= bytes.length; at++) {
      expect(decode([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toEqual(expected);
    }
  });

  it('gives the same lines wherever the bytes are cut in three', () => {
    const bytes = Buffer.from(text);
    for (let a = 0; a <= bytes.length; a++) {
      for (let b = a; b <= bytes.length; b++) {
        const pieces = [bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)];
        expect(decode(pieces), `cut at ${a} and ${b}`).toEqual(expected);
      }
    }
  });

  it('gives the same lines for pieces of every size from one byte on', () => {
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size++) {
      expect(decode(inPieces(bytes, size)), `pieces of ${size}`).toEqual(expected);
    }
  });

  it('keeps a line apart from the buffer its chunks came in', () => {
    const lines: Buffer[] = [];
    const decoder = new LineDecoder(MAX, (line) => lines.push(line));
    const reused = Buffer.from('one');
    decoder.push(reused);
    reused.write('two');
    decoder.push(Buffer.from('\nthree\n'));
    expect(lines.map(String)).toEqual(['one', 'three']);
  });

  it('drops only the carriage return that ends a line', () => {
    expect(decode([Buffer.from('a\rb\r\r\n')])).toEqual(['a\rb\r']);
  });

  it('gives nothing for a line that has not ended', () => {
    expect(decode([Buffer.from('a\nb')])).toEqual(['a']);
  });

  it('takes a line exactly as long as the limit, in any number of pieces', () => {
    const line = 'x'.repeat(MAX);
    for (const size of [1, 7, 499, 500, 999, 1000, 1001]) {
      expect(decode(inPieces(Buffer.from(`${line}\ny\n${line}\n`), size)), `pieces of ${size}`).toEqual([
        line,
        'y',
        line,
      ]);
    }
  });

  it('refuses a line one byte over the limit, in any number of pieces', () => {
    for (const size of [1, 7, 500, 1000, 1001, 1002]) {
      const pieces = inPieces(Buffer.from(`${'x'.repeat(MAX + 1)}\n`), size);
      expect(() => decode(pieces), `pieces of ${size}`).toThrow(LineTooLongError);
    }
  });

  it('refuses an endless line before its end comes', () => {
    expect(() => decode(inPieces(Buffer.alloc(MAX + 1, 'x'), 10))).toThrow(`longer than ${MAX} bytes`);
  });

  it('gives the lines before one that is too long', () => {
    const lines: string[] = [];
    const decoder = new LineDecoder(MAX, (line) => lines.push(line.toString()));
    expect(() => decoder.push(Buffer.from(`a\nb\n${'x'.repeat(MAX + 1)}`))).toThrow(LineTooLongError);
    expect(lines).toEqual(['a', 'b']);
  });

  it('takes 8 MB that come byte by byte with memory for the bytes alone', () => {
    const limit = 8 * 1024 * 1024;
    let length = 0;
    const decoder = new LineDecoder(limit, (line) => {
      length = line.length;
    });
    const before = process.memoryUsage();
    const one = Buffer.from('x');
    for (let i = 0; i < limit; i++) decoder.push(one);
    const after = process.memoryUsage();
    decoder.push(Buffer.from('\n'));
    expect(length).toBe(limit);
    const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
    expect(grown).toBeLessThan(100 * 1024 * 1024);
  });
});

import { describe, expect, it } from 'vitest';
import { LineSplitter, MAX_LINE_BYTES, textOf } from './line-splitter.js';

function splitterInto(lines: string[]): LineSplitter {
  return new LineSplitter({
    take: (line) => lines.push(textOf(line)) > 0,
    skipped: (count) => expect(count).toBe(0),
  });
}

/** The lines of a text that comes in pieces of `size` bytes. */
function linesIn(text: string | Buffer, size = Infinity): string[] {
  const lines: string[] = [];
  const splitter = splitterInto(lines);
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) splitter.push(bytes.subarray(at, at + size));
  splitter.finish();
  return lines;
}

describe('lines', () => {
  it('are the same wherever the stream is cut, also inside a character', () => {
    const text = 'one\n\nzwei ü 😀\r\n\tlast';
    for (let size = 1; size <= Buffer.byteLength(text); size++) {
      expect(linesIn(text, size)).toEqual(['one', '', 'zwei ü 😀', '\tlast']);
    }
  });

  it('that are longer than the limit are cut there, and that is said', () => {
    const longest = 'x'.repeat(MAX_LINE_BYTES);
    for (const size of [1, 1000, MAX_LINE_BYTES, 100_000]) {
      const lines = linesIn(`${longest}\n${longest}y${'z'.repeat(20_000)}\nnext\n`, size);
      expect(lines).toEqual([longest, `${longest}… [cut: longer than 8192 bytes]`, 'next']);
    }
  });

  it('are cut between two characters', () => {
    for (let before = 0; before < 4; before++) {
      const [line = ''] = linesIn('x'.repeat(before) + '😀'.repeat(3000));
      expect(line).toMatch(/^x*(?:😀)+… \[cut/u);
      expect(line).not.toContain('\uFFFD');
    }
  });

  it('without an end are given at once, and hold no memory', () => {
    const lines: string[] = [];
    const splitter = splitterInto(lines);
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 1000; n++) splitter.push(Buffer.alloc(64 * 1024, 'x'));
    expect(lines).toHaveLength(1);
    splitter.push(Buffer.from('\nnext\n'));
    expect(lines.at(-1)).toBe('next');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });

  it('of bytes that are no text show that', () => {
    expect(linesIn(Buffer.from([0x61, 0xff, 0x62, 0x0a]))).toEqual(['a\uFFFDb']);
  });

  it.each([10, 9000])(
    'of %i bytes in a flood are counted, each once, wherever the stream is cut',
    (length) => {
      const text = Buffer.from(`${'x'.repeat(length - 1)}\n`.repeat(200));
      for (const size of [1, 7, 64, 1000, 10_000, 100_000, text.length]) {
        let [taken, skipped] = [0, 0];
        const splitter = new LineSplitter({
          // The first ten, and each that is offered after them is refused.
          take: () => ++taken <= 10,
          skipped: (count) => (skipped += count),
        });
        for (let at = 0; at < text.length; at += size) splitter.push(text.subarray(at, at + size));
        splitter.finish();
        expect(taken + skipped).toBe(200);
        if (size === text.length) expect(taken).toBe(11);
      }
    },
  );
});

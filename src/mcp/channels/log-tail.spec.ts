import { describe, expect, it } from 'vitest';
import { LogTail } from './log-tail.js';

describe('LogTail', () => {
  it('keeps the last 20 lines, the unfinished one included', () => {
    const log = new LogTail();
    for (let n = 0; n < 100; n++) log.push(Buffer.from(`line ${n}\r\n\n`));
    log.push(Buffer.from('rest'));
    const lines = log.toString().split('\n');
    expect(lines).toHaveLength(20);
    expect(lines[0]).toBe('line 81');
    expect(lines.at(-1)).toBe('rest');
  });

  it('keeps characters whole that come in pieces', () => {
    const log = new LogTail();
    for (const byte of Buffer.from('gr\u00fc\u00df \ud83d\ude80\n')) log.push(Buffer.from([byte]));
    expect(log.toString()).toBe('gr\u00fc\u00df \ud83d\ude80');
  });

  it('keeps the first 500 characters of an endless line, and goes on behind it', () => {
    const log = new LogTail();
    for (let n = 0; n < 1000; n++) log.push(Buffer.from('0123456789'.repeat(100)));
    expect(log.toString()).toBe('0123456789'.repeat(50));
    log.push(Buffer.from('\nnext\n'));
    expect(log.toString().split('\n')[1]).toBe('next');
  });
});

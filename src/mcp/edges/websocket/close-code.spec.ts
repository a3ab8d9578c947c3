import { describe, expect, it } from 'vitest';
import { closeReason } from './close-code.js';

describe('the reason in a close frame', () => {
  it.each([
    ['a'.repeat(123), 123],
    ['a'.repeat(124), 123],
    ['ü'.repeat(62), 122],
    [`a${'ü'.repeat(61)}`, 123],
    ['🚀'.repeat(31), 120],
    ['', 0],
  ])('%s is cut to %i bytes, between two characters', (text, bytes) => {
    const reason = closeReason(text);
    expect(Buffer.byteLength(reason)).toBe(bytes);
    expect(text.startsWith(reason)).toBe(true);
  });
});

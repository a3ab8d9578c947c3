import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { RequestSeal } from './request-seal.js';

const STATE = { handle: 'call-1', round: 2, expiresAt: 1000, digest: 'd' };
const seal = new RequestSeal(randomBytes(32));

describe('a request seal', () => {
  it('opens what it sealed', () => {
    expect(seal.open(seal.seal(STATE, 'ann'), 'ann')).toEqual(STATE);
  });

  it('never seals the same text twice, and shows nothing of it', () => {
    const sealed = [seal.seal(STATE, 'ann'), seal.seal(STATE, 'ann')];
    expect(sealed[0]).not.toBe(sealed[1]);
    expect(Buffer.from(sealed[0] ?? '', 'base64url').toString('latin1')).not.toContain('call-1');
  });

  it("opens nothing for another principal, or with another service's key", () => {
    expect(seal.open(seal.seal(STATE, 'ann'), 'bob')).toBeUndefined();
    expect(new RequestSeal(randomBytes(32)).open(seal.seal(STATE, 'ann'), 'ann')).toBeUndefined();
  });

  it('opens nothing in which one bit is different', () => {
    const bytes = Buffer.from(seal.seal(STATE, 'ann'), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const forged = Buffer.from(bytes);
      forged[bit >> 3] = (forged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(seal.open(forged.toString('base64url'), 'ann')).toBeUndefined();
    }
  });

  it.each(['', 'x', 'A'.repeat(38), 'A'.repeat(5000), '{"handle":"call-1"}'])('opens no %j', (text) => {
    expect(seal.open(text, 'ann')).toBeUndefined();
  });

  it.each(['-TAMPERED', '=', ' ', '\n', 'A'])('opens nothing with %j behind it', (tail) => {
    expect(seal.open(seal.seal(STATE, 'ann') + tail, 'ann')).toBeUndefined();
  });

  it('wants a key of 32 bytes', () => {
    expect(() => new RequestSeal(randomBytes(16))).toThrow('32 bytes');
  });
});

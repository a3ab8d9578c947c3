import { describe, expect, it } from 'vitest';
import { MessageMemory } from './message-memory.js';

const MB = 1024 * 1024;

describe('the memory of messages on their way to a server', () => {
  it('is refused to a deployment that holds 64 MB, and to no other', () => {
    const memory = new MessageMemory();
    const greedy = memory.lease('dp_greedy');
    greedy.grow(64 * MB);
    expect(() => greedy.grow(1)).toThrow(expect.objectContaining({ status: 503 }));
    expect(() => memory.lease('dp_modest').grow(16 * MB)).not.toThrow();
  });

  it('is never more than 256 MB, and never all gone, however many deployments take what they can get', () => {
    const memory = new MessageMemory();
    let held = 0;
    for (let n = 0; n < 100; n++) {
      const lease = memory.lease(`dp_${n}`);
      try {
        for (;;) {
          lease.grow(MB / 1024);
          held += MB / 1024;
        }
      } catch (error) {
        expect(error).toMatchObject({ status: 503 });
      }
      if (n === 4) expect(() => memory.lease('dp_modest').grow(7 * MB)).not.toThrow();
    }
    expect(held).toBeLessThanOrEqual(256 * MB);
  });

  it('is there again for all when it is given back', () => {
    const memory = new MessageMemory();
    const leases = [1, 2, 3].map((n) => memory.lease(`dp_${n}`));
    for (const lease of leases) lease.grow(64 * MB);
    expect(() => memory.lease('dp_4').grow(64 * MB)).toThrow(expect.objectContaining({ status: 503 }));
    leases[0]?.release();
    expect(() => memory.lease('dp_4').grow(64 * MB)).not.toThrow();
  });

  it('is given back once, however often a lease is released', () => {
    const memory = new MessageMemory();
    const lease = memory.lease('dp_1');
    lease.grow(64 * MB);
    lease.release();
    lease.release();
    lease.grow(64 * MB);
    expect(() => lease.grow(1)).toThrow(expect.objectContaining({ status: 503 }));
  });
});

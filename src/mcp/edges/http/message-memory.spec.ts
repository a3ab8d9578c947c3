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

  it('is refused to all when 256 MB are held', () => {
    const memory = new MessageMemory();
    const leases = [1, 2, 3, 4].map((n) => memory.lease(`dp_${n}`));
    for (const lease of leases) lease.grow(64 * MB);
    expect(() => memory.lease('dp_5').grow(1)).toThrow(expect.objectContaining({ status: 503 }));
    leases[0]?.release();
    expect(() => memory.lease('dp_5').grow(64 * MB)).not.toThrow();
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

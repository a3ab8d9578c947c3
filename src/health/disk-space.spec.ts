import { describe, expect, it } from 'vitest';
import { judgeDisk } from './disk-space.js';

const GB = 1024;

/** Sizes in MB. */
function disk(size: number, free: number): Parameters<typeof judgeDisk>[0] {
  return { bsize: 4096, blocks: size * 256, bavail: free * 256 };
}

describe('the space below DATA_DIR', () => {
  it.each([
    ['a large disk with a gigabyte', 1000 * GB, GB, true],
    ['a large disk with less than a gigabyte', 1000 * GB, GB - 1, false],
    ['a small disk with a twentieth', 2 * GB, 103, true],
    ['a small disk with less than a twentieth', 2 * GB, 102, false],
    ['a full disk', 100 * GB, 0, false],
  ])('is judged: %s', (_what, size, free, ok) => {
    expect(judgeDisk(disk(size, free))).toMatchObject({ ok, message: expect.stringContaining(`${free} MB`) });
  });
});

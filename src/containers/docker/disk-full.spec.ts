import { describe, expect, it } from 'vitest';
import { diskFull, isDiskFull } from './disk-full.js';

describe('a full disk', () => {
  it.each([
    [true, 'mkdir /var/lib/docker/overlay2/x: no space left on device'],
    [true, 'mkfs.ext4: No space left on device while writing out and closing file system'],
    [true, "ENOSPC: no space left on device, open '/var/mcp-runner/homes/x.img'"],
    [false, 'no space left in the address pool'],
    [false, 'No such file or directory'],
  ])('is %s of "%s"', (is, reason) => {
    expect(isDiskFull(reason)).toBe(is);
  });

  it('is said with what to do, and not endlessly', () => {
    const { code, detail } = diskFull('x'.repeat(10_000), undefined);
    expect([code, detail]).toEqual(['disk_full', expect.stringMatching(/Free space below DATA_DIR/)]);
    expect(detail?.length).toBeLessThan(500);
  });
});

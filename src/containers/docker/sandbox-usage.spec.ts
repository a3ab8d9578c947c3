import { describe, expect, it } from 'vitest';
import { type EngineStats, usageBetween } from './sandbox-usage.js';

/** As engine 20.10 with cgroups v1 and runsc gives it; parts that are not used are left out. */
const FIRST: EngineStats = {
  read: '2026-01-31T12:00:00.000000000Z',
  pids_stats: { current: 34, limit: 384 },
  cpu_stats: { cpu_usage: { total_usage: 1_000_000_000 } },
  memory_stats: { usage: 177_106_944, limit: 268_435_456, stats: { total_inactive_file: 20_971_520 } },
  networks: { eth0: { rx_bytes: 1112, tx_bytes: 0 } },
};
const LAST: EngineStats = {
  ...FIRST,
  read: '2026-01-31T12:00:00.250000000Z',
  cpu_stats: { cpu_usage: { total_usage: 1_100_000_000 } },
};
const { memory_stats: MEMORY } = FIRST;

describe('what a sandbox uses', () => {
  it('is what the engine says, without files that are only cached', () => {
    expect(usageBetween(FIRST, LAST)).toEqual({
      memoryBytes: 156_135_424,
      memoryLimitBytes: 268_435_456,
      cpuSeconds: 1.1,
      cpuPercent: expect.closeTo(40, 6) as number,
      cpuWindowMs: 250,
      tasks: 34,
      taskLimit: 384,
      network: { receivedBytes: 1112, sentBytes: 0 },
    });
    const v2 = { ...LAST, memory_stats: { ...MEMORY, stats: { inactive_file: 7_106_944 } } };
    expect(usageBetween(FIRST, v2).memoryBytes).toBe(170_000_000);
  });

  it('is null, not 0, where the engine does not know it', () => {
    const at = { read: LAST.read ?? '' };
    const nothing = { memoryBytes: null, cpuSeconds: null, cpuPercent: null, tasks: null, network: null };
    expect(usageBetween(FIRST, at)).toMatchObject(nothing);
    const zeros = { ...at, pids_stats: { current: 0 }, memory_stats: { usage: 0 }, networks: {} };
    expect(usageBetween({ ...FIRST, ...zeros }, { ...LAST, ...zeros })).toMatchObject({
      memoryBytes: null,
      tasks: null,
      network: null,
    });
    expect(usageBetween(FIRST, FIRST)).toMatchObject({ cpuSeconds: 1, cpuPercent: null, cpuWindowMs: null });
  });

  it('is nothing where the container does not run', () => {
    for (const read of ['0001-01-01T00:00:00Z', '']) {
      expect(() => usageBetween(FIRST, { ...LAST, read })).toThrow(
        expect.objectContaining({ code: 'sandbox_gone' }),
      );
    }
  });
});

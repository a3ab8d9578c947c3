import { expect, it } from 'vitest';
import { soak } from '../soak/soak.js';

it('nothing is left of sessions that were used and dropped in every way', async () => {
  const { sessions, leaks } = await soak({ times: 2, pauses: 1, sleepers: 6, vanishing: [] });
  expect(leaks).toEqual([]);
  expect(sessions).toBeGreaterThanOrEqual(100);
}, 300_000);

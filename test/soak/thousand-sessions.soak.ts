import { expect, it } from 'vitest';
import { soak } from './soak.js';

it('nothing is left of 1,000 sessions that were used and dropped in every way', async () => {
  const plan = { times: 36, pauses: 12, sleepers: 40, vanishing: [40, 40] };
  const started = Date.now();
  const { sessions, leaks } = await soak(plan, (line) => {
    const seconds = Math.round((Date.now() - started) / 1000);
    process.stdout.write(`${seconds} s: ${line}\n`);
  });
  expect(leaks).toEqual([]);
  expect(sessions).toBeGreaterThanOrEqual(1000);
});

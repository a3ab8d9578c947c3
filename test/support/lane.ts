import { env } from 'node:process';

/** Test files that run at once, see test/vitest.config.ts; each lane has addresses and uids of its own. */
export const LANES = 2;

/** Which of them this is, from 0. */
export const LANE = (Number(env['VITEST_POOL_ID'] ?? 1) - 1) % LANES;

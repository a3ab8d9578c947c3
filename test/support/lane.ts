import { takeAtOnce } from './machine-lock.js';

const MOST = 8;

/**
 * Which of the eight shares of addresses and uids is this process's own, until it ends: test files run side by side, in one
 * run or in several. Vitest's VITEST_POOL_ID does not tell: it may be the same for two files that run at once.
 */
export const LANE = takeLane();

function takeLane(): number {
  for (let lane = 0; lane < MOST; lane++) if (takeAtOnce(`lane-${lane}`)) return lane;
  throw new Error(`More than ${MOST} test files run at once on this machine`);
}

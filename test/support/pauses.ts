import { env } from 'node:process';

/** As `npm run test:paused` runs them: every service is behind a front that forces a pause between any two requests. */
export const PAUSES = env['TEST_PAUSES'] === '1';
/** Seconds each. */
const PAUSED_ROUNDS = 3;

/** How often to do what must go well any number of times. */
export function roundsOf(many: number): number {
  return PAUSES ? PAUSED_ROUNDS : many;
}

import { defineConfig } from 'vitest/config';

/** Not part of `npm test`: numbers, no promises. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/bench/*.bench.ts'],
    pool: 'forks',
    testTimeout: 1_200_000,
    hookTimeout: 300_000,
    disableConsoleIntercept: true,
  },
});

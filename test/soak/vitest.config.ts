import { defineConfig } from 'vitest/config';

/** Not part of `npm test`, which has the short form. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/soak/*.soak.ts'],
    pool: 'forks',
    testTimeout: 1_200_000,
    disableConsoleIntercept: true,
  },
});

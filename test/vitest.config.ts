import { defineConfig } from 'vitest/config';

/** Unit tests sit beside the code; the other kinds share one engine, so their files run one after another. */
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    projects: [
      {
        extends: true,
        // Some read megabytes, on machines that are slow or busy.
        test: { name: 'unit', include: ['src/**/*.spec.ts'], pool: 'threads', testTimeout: 30_000 },
      },
      {
        extends: true,
        test: {
          name: 'engine',
          include: ['test/**/*.spec.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});

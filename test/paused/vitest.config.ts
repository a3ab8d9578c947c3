import { defineConfig } from 'vitest/config';

/** The suite that says that every client is served, with a pause forced between any two requests. Takes about half an hour. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: [
      'test/conformance/*.spec.ts',
      'test/e2e/client-matrix.spec.ts',
      'test/e2e/two-clients.spec.ts',
      'test/e2e/sse-edge.spec.ts',
      'test/e2e/websocket-edge.spec.ts',
      'test/e2e/shared-mode.spec.ts',
      'test/e2e/http-upstreams.spec.ts',
    ],
    setupFiles: ['test/paused/exceptions.ts'],
    env: { TEST_PAUSES: '1' },
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
    expect: { poll: { timeout: 60_000 } },
  },
});

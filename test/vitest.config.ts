import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** They look at all that is on the machine, count its memory or need all of it. */
const ALONE = [
  'test/e2e/failed-starts.spec.ts',
  'test/e2e/forty-deployments.spec.ts',
  'test/e2e/pause-between-requests.spec.ts',
  'test/e2e/soak.spec.ts',
  'test/integration/sandbox-failed-start.spec.ts',
  'test/integration/sandbox-network.spec.ts',
  'test/integration/thousand-paused.spec.ts',
];

/** Minutes each: begun first, so that no lane is left with one of them in the end. */
const LONG = [
  'test/conformance/handshake-era.spec.ts',
  'test/e2e/crash-matrix.spec.ts',
  'test/e2e/idle-pause.spec.ts',
  'test/e2e/client-matrix.spec.ts',
];

function isLong({ moduleId }: TestSpecification): boolean {
  return LONG.some((name) => moduleId.endsWith(name));
}

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

const engine = { pool: 'forks', testTimeout: 120_000, hookTimeout: 300_000 } as const;

/** Unit tests sit beside the code; the other kinds share one engine, most of them two files at a time. */
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    sequence: { sequencer: LongFirst },
    projects: [
      {
        extends: true,
        // Some read megabytes, on machines that are slow or busy.
        test: { name: 'unit', include: ['src/**/*.spec.ts'], pool: 'threads', testTimeout: 30_000 },
      },
      {
        extends: true,
        test: {
          ...engine,
          name: 'engine',
          include: ['test/**/*.spec.ts'],
          exclude: ALONE,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: { ...engine, name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 2 } },
      },
    ],
  },
});

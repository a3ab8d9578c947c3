import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Config } from '../../config/config.js';
import { registeredRuntimeFinding } from './runtime-survey.js';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mcp-runner-survey-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** What is said of a runsc of these words; undefined: it is not to be seen. */
async function saidOf(says: string | undefined, comment = 'none'): Promise<string> {
  const path = join(folder, 'runsc');
  rmSync(path, { force: true });
  if (says !== undefined)
    writeFileSync(path, `#!/bin/sh\n# ${comment}\necho 'runsc version ${says}'\n`, { mode: 0o700 });
  const finding = await registeredRuntimeFinding({ Runtimes: { runsc: { path } } }, new Config());
  expect(finding).toMatchObject({ name: 'runtime', level: 'ok' });
  return finding.message;
}

it('a runsc that cannot be seen, or whose version has no date, is not said to need no wrapper', async () => {
  for (const says of [undefined, 'VERSION_MISSING'])
    expect(await saidOf(says)).toMatch(/whether it needs a wrapper cannot be seen from here\.$/);
});

it('one that can be seen is said to need none, to have one, or to need one should starts fail', async () => {
  expect(await saidOf('release-20250407.0')).toMatch(/release-20250407\.0.*; it needs no wrapper\.$/);
  expect(await saidOf('release-20240729.0')).toMatch(/should starts fail/);
  expect(await saidOf('release-20240729.0', 'hides /proc/sys')).toMatch(/with the wrapper that old releases/);
});

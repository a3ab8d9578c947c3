// What `npm test` runs once the engine is there: build, lint, every test. The last line is `N passed, N failed`; a
// skipped test counts as failed, and so do a broken build, a lint finding and a run without tests.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';

const root = new URL('..', import.meta.url).pathname;
const work = mkdtempSync(join(tmpdir(), 'mcp-runner-test-'));
const report = join(work, 'report.json');
const print = (text) => process.stdout.write(`${text}\n`);

function run(command, args) {
  print(`\n==> ${[command, ...args].join(' ')}`);
  const options = { cwd: root, stdio: 'inherit', env: { ...env, TEST_REPORT: report } };
  const { status, error } = spawnSync(command, args, options);
  if (error) print(String(error));
  return status === 0;
}

function readReport() {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { passed: 0, problems: [{ tests: 1, text: 'vitest ended without a report' }] };
  }
}

function runTests() {
  const reporters = ['--reporter=default', '--reporter=./scripts/test-report.mjs'];
  const isHappy = run('npx', ['vitest', 'run', '--config', 'test/vitest.config.ts', ...reporters]);
  const { passed, problems } = readReport();
  if (passed === 0) problems.push({ tests: 1, text: 'no test has passed' });
  if (!isHappy && problems.length === 0) problems.push({ tests: 1, text: 'vitest failed outside of a test' });
  return { passed, problems };
}

try {
  const isBuilt = run('npm', ['run', '--silent', 'build']);
  const isClean = run('npm', ['run', '--silent', 'lint']);
  const { passed, problems } = isBuilt
    ? runTests()
    : { passed: 0, problems: [{ tests: 1, text: 'npm run build' }] };
  if (!isClean) problems.push({ tests: 1, text: 'npm run lint' });
  for (const { text } of problems) print(`not passed: ${text}`);
  print(`${passed} passed, ${problems.reduce((sum, { tests }) => sum + tests, 0)} failed`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(work, { recursive: true });
}

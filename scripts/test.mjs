// What `npm test` runs once the engine is there: build, lint, every test. The last line is `N passed, N failed`; a
// skipped test counts as failed, and so do a broken build, a lint finding and a run without tests.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const work = mkdtempSync(join(tmpdir(), 'mcp-runner-test-'));
const report = join(work, 'vitest.json');
const print = (text) => process.stdout.write(`${text}\n`);

function run(command, args) {
  print(`\n==> ${[command, ...args].join(' ')}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) print(String(error));
  return status === 0;
}

function readReport() {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { numPassedTests: 0, numTotalTests: 0, testResults: [] };
  }
}

/** One line for each thing that is not as it should be; empty when all is well. */
function problemsOf({ numTotalTests, testResults }, vitestIsHappy) {
  const problems = testResults.flatMap(({ name, status, message, assertionResults }) => {
    const tests = assertionResults.filter((test) => test.status !== 'passed');
    if (status !== 'passed' && tests.length === 0) return [`${name}: ${message || status}`];
    return tests.map((test) => `${test.status}: ${test.fullName}`);
  });
  if (numTotalTests === 0) problems.push('there were no tests');
  if (!vitestIsHappy && problems.length === 0) problems.push('vitest failed outside of a test');
  return problems;
}

try {
  const problems = [];
  const buildIsGood = run('npm', ['run', '--silent', 'build']);
  if (!buildIsGood) problems.push('npm run build');
  if (!run('npm', ['run', '--silent', 'lint'])) problems.push('npm run lint');
  let passed = 0;
  if (buildIsGood) {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const happy = run('npx', ['vitest', 'run', '--config', 'test/vitest.config.ts', ...reporters]);
    const results = readReport();
    passed = results.numPassedTests;
    problems.push(...problemsOf(results, happy));
  }
  for (const problem of problems) print(`not passed: ${problem}`);
  print(`${passed} passed, ${problems.length} failed`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(work, { recursive: true });
}

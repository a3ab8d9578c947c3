// A vitest reporter for scripts/test.mjs: what did not pass, and why. It goes to the file named by TEST_REPORT, as
// `{ passed, problems: [{ tests, text }] }`.
import { writeFileSync } from 'node:fs';
import { env } from 'node:process';
import { stripVTControlCharacters } from 'node:util';

const MOST_CHARS = 600;

function wordsOf(errors = []) {
  const text = errors
    .map(({ message, cause }) => (cause ? `${message} (${cause.message})` : message))
    .join(' | ');
  const line = stripVTControlCharacters(text).replace(/\s+/g, ' ');
  return line.length > MOST_CHARS ? `${line.slice(0, MOST_CHARS)}…` : line;
}

/** Where a hook failed, its tests were skipped; they are told together, with what the hook said. */
function problemsOf(module) {
  const file = module.relativeModuleId;
  const hooks = [module, ...module.children.allSuites()].flatMap((suite) => suite.errors());
  const results = [...module.children.allTests()].map((test) => ({ name: test.fullName, ...test.result() }));
  const failed = results.filter(({ state }) => state === 'failed');
  const unrun = results.filter(({ state }) => state !== 'failed' && state !== 'passed').length;
  const problems = failed.map(({ name, errors }) => ({
    tests: 1,
    text: `${file}: ${name}: ${wordsOf(errors)}`,
  }));
  if (unrun > 0)
    problems.push({ tests: unrun, text: `${file}: ${unrun} tests did not run: ${wordsOf(hooks)}` });
  else if (hooks.length > 0 || results.length === 0)
    problems.push({ tests: 1, text: `${file}: ${wordsOf(hooks) || 'no tests'}` });
  return { passed: results.length - failed.length - unrun, problems };
}

export default class TestReport {
  onTestRunEnd(modules, unhandled) {
    const files = modules.map(problemsOf);
    const report = {
      passed: files.reduce((sum, { passed }) => sum + passed, 0),
      problems: files.flatMap(({ problems }) => problems),
    };
    if (unhandled.length > 0)
      report.problems.push({ tests: 1, text: `outside of a test: ${wordsOf(unhandled)}` });
    writeFileSync(env['TEST_REPORT'], JSON.stringify(report));
  }
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { recentNode } from './fixture-node.js';
import { installPackages } from './fixture-packages.js';

/** One scenario as the suite's summary counts it. */
export interface Scenario {
  name: string;
  passed: number;
  failed: number;
  /** False for those that the suite runs and reports, but that conformance does not need. */
  isScored: boolean;
  /** What the suite says about each check that is not a success. */
  findings: string[];
}

export interface SuiteReport {
  exitCode: number | null;
  scenarios: Scenario[];
  /** Everything the suite printed. */
  output: string;
}

/** Run the official conformance suite of this version against a URL; it needs Node 22. The results go to `directory`, which is empty. */
export async function runSuite(
  version: string,
  url: string,
  args: string[],
  directory: string,
): Promise<SuiteReport> {
  const { exitCode, output } = await run(version, ['server', '--url', url, '-o', directory, ...args]);
  return { exitCode, scenarios: scenariosOf(output, directory), output };
}

/** The names of all server scenarios that the suite has for this revision. */
export async function listScenarios(version: string, revision: string): Promise<string[]> {
  const { output } = await run(version, ['list', '--server', '--spec-version', revision]);
  return [...output.matchAll(/^ {2}- (\S+) \[/gm)].map(([, name = '']) => name);
}

/** Run one scenario by itself; what is wrong with it. The results go to `directory`, which may have those of others. */
export async function runScenario(
  version: string,
  url: string,
  name: string,
  args: string[],
  directory: string,
): Promise<string[]> {
  const options = ['--url', url, '-o', directory, '--scenario', name, ...args];
  const { exitCode, output } = await run(version, ['server', ...options]);
  const findings = findingsOf(name, directory).filter((finding) => !finding.startsWith('WARNING'));
  // It may fail in another way than by a check.
  return exitCode === 0 || findings.length > 0 ? findings : [output];
}

async function run(version: string, args: string[]): Promise<Pick<SuiteReport, 'exitCode' | 'output'>> {
  const suite = await installPackages('conformance', [`@modelcontextprotocol/conformance@${version}`]);
  const main = join(suite, 'node_modules/@modelcontextprotocol/conformance/dist/index.js');
  const child = spawn(await recentNode(), [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  await once(child, 'close');
  return { exitCode: child.exitCode, output };
}

/** One line for each scenario that failed, and what is wrong with it. */
export function failuresOf(report: SuiteReport): string[] {
  const failures = report.scenarios
    .filter(({ failed }) => failed > 0)
    .map(({ name, findings }) => `${name}: ${findings.join('; ')}`);
  // The suite may fail in another way than by a check.
  return report.exitCode === 0 || failures.length > 0 ? failures : [report.output];
}

function scenariosOf(output: string, directory: string): Scenario[] {
  const [, summary = ''] = output.split('=== SUMMARY ===');
  const unscored = new Set([...summary.matchAll(/^ {2}\S (\S+) \(.*\)$/gm)].map(([, name]) => name));
  return [...summary.matchAll(/^\S (\S+): (\d+) passed, (\d+) failed/gm)].map(
    ([, name = '', passed, failed]) => ({
      name,
      passed: Number(passed),
      failed: Number(failed),
      isScored: !unscored.has(name),
      findings: findingsOf(name, directory),
    }),
  );
}

function findingsOf(scenario: string, directory: string): string[] {
  // A scenario's results are in `server-<scenario>-<time>`.
  const folder = readdirSync(directory).find((name) => name.startsWith(`server-${scenario}-2`));
  if (folder === undefined) return ['there are no results'];
  const checks = JSON.parse(readFileSync(join(directory, folder, 'checks.json'), 'utf8')) as {
    id: string;
    status: string;
    errorMessage?: string;
  }[];
  return checks
    .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
    .map(({ id, status, errorMessage }) => `${status} ${id}: ${errorMessage ?? ''}`);
}

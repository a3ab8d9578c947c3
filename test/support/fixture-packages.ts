import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CACHE, oneAtATime } from './machine-lock.js';

/**
 * A directory of its own with these packages, `name@1.2.3`, in node_modules; installed once and kept between runs
 * (MCP_RUNNER_TEST_CACHE says where). Install scripts do not run.
 */
export async function installPackages(label: string, packages: string[]): Promise<string> {
  const key = createHash('sha256').update(packages.join()).digest('hex').slice(0, 12);
  const directory = join(CACHE, `${label}-${key}`);
  return oneAtATime(`${label}-${key}`, () => install(directory, packages));
}

async function install(directory: string, packages: string[]): Promise<string> {
  const complete = `${directory}.complete`;
  if (existsSync(complete)) return directory;
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  await promisify(execFile)('npm', ['install', '--prefix', directory, ...flags, ...packages]);
  writeFileSync(complete, '');
  return directory;
}

import { execFile } from 'node:child_process';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages } from './fixture-packages.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const SOURCE = join(ROOT, 'test/support/fixture-server');

async function makeImage(...args: string[]): Promise<void> {
  await promisify(execFile)(join(ROOT, 'scripts/make-image.sh'), args);
}

/** The image of our own server for tests, made where it is missing or outdated. Returns its tag. */
export async function fixtureImage(): Promise<string> {
  const tag = 'mcp-runner/fixture-server:local';
  const manifest = JSON.parse(readFileSync(join(SOURCE, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const packages = Object.entries(manifest.dependencies).map(([name, version]) => `${name}@${version}`);
  const directory = await installPackages('fixture-server', packages);
  rmSync(join(directory, 'server'), { recursive: true, force: true });
  cpSync(SOURCE, join(directory, 'server'), { recursive: true });
  await makeImage('dir', tag, directory, JSON.stringify(['node', '/app/server/main.js']));
  return tag;
}

/** The image of an MCP server from npm, `@scope/name@1.2.3`. Returns its tag. */
export async function npmImage(packageAtVersion: string): Promise<string> {
  const name = packageAtVersion.replace(/@[^@]*$/, '').replace(/^.*\//, '');
  const tag = `mcp-runner/${name}:local`;
  await makeImage('npm', tag, packageAtVersion);
  return tag;
}

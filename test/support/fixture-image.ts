import { execFile } from 'node:child_process';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installPackages } from './fixture-packages.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const SUPPORT = join(ROOT, 'test/support');

async function makeImage(...args: string[]): Promise<void> {
  await promisify(execFile)(join(ROOT, 'scripts/make-image.sh'), args);
}

/** A server of our own, `test/support/<name>`, with its npm packages and what the fixtures share. */
async function ownImage(name: string): Promise<string> {
  const tag = `mcp-runner/${name}:local`;
  const source = join(SUPPORT, name);
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const packages = Object.entries(manifest.dependencies).map(([name, version]) => `${name}@${version}`);
  const directory = await installPackages(name, packages);
  for (const [from, to] of [
    [source, 'server'],
    [join(SUPPORT, 'fixture-content'), 'fixture-content'],
  ] as const) {
    rmSync(join(directory, to), { recursive: true, force: true });
    cpSync(from, join(directory, to), { recursive: true });
  }
  await makeImage('dir', tag, directory, JSON.stringify(['node', '/app/server/main.js']));
  return tag;
}

/** The image of our server of the handshake era, made where it is missing or outdated. Returns its tag. */
export function fixtureImage(): Promise<string> {
  return ownImage('fixture-server');
}

/** The image of our server of both eras. Returns its tag. */
export function dualEraImage(): Promise<string> {
  return ownImage('dual-era-server');
}

/** The image of our server on the official Python SDK, with the machine's own Python. Returns its tag. */
export async function pythonImage(): Promise<string> {
  const tag = 'mcp-runner/python-server:local';
  const server = join(SUPPORT, 'python-server/server.py');
  await promisify(execFile)(join(SUPPORT, 'python-image.sh'), [tag, 'mcp==2.3.0', server]);
  return tag;
}

/** The image of an MCP server from npm, `@scope/name@1.2.3`. Returns its tag. */
export async function npmImage(packageAtVersion: string): Promise<string> {
  const name = packageAtVersion.replace(/@[^@]*$/, '').replace(/^.*\//, '');
  const tag = `mcp-runner/${name}:local`;
  await makeImage('npm', tag, packageAtVersion);
  return tag;
}

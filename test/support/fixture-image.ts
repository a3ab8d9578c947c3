import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { installPackages } from './fixture-packages.js';
import { oneAtATime } from './machine-lock.js';

const ROOT = new URL('../..', import.meta.url).pathname;
const SUPPORT = join(ROOT, 'test/support');
/** For packages that are no modules. */
const REQUIRE = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`;

async function makeImage(...args: string[]): Promise<void> {
  await promisify(execFile)(join(ROOT, 'scripts/make-image.sh'), args);
}

/** A server of our own, `test/support/<name>`, with its npm packages and what the fixtures share. */
function ownImage(name: string): Promise<string> {
  return oneAtATime(`${name}-image`, () => makeOwnImage(name));
}

async function makeOwnImage(name: string): Promise<string> {
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
  const app = join(directory, 'app');
  rmSync(app, { recursive: true, force: true });
  // One file instead of a thousand, each of which costs a sandbox time: it boots twice as fast.
  await build({
    // Its paths are in the result, which is to be the same whoever makes it.
    absWorkingDir: directory,
    entryPoints: [join(directory, 'server/main.js')],
    outfile: join(app, 'server/main.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    banner: { js: REQUIRE },
    logLevel: 'error',
  });
  writeFileSync(join(app, 'package.json'), '{"type":"module"}');
  await makeImage('dir', tag, app, JSON.stringify(['node', '/app/server/main.js']));
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

/** The image of the server that boots at once and costs next to nothing. Returns its tag. */
export async function tinyImage(): Promise<string> {
  const tag = 'mcp-runner/tiny-server:local';
  const directory = mkdtempSync(join(tmpdir(), 'mcp-runner-tiny-'));
  try {
    // Static, of the package that sandboxes need anyway.
    cpSync('/bin/busybox', join(directory, 'busybox'));
    cpSync(join(SUPPORT, 'tiny-server/server.sh'), join(directory, 'server.sh'));
    await makeImage('dir', tag, directory, JSON.stringify(['/app/busybox', 'sh', '/app/server.sh']));
  } finally {
    rmSync(directory, { recursive: true });
  }
  return tag;
}

/** The image of our server on the official Python SDK, with the machine's own Python. Returns its tag. */
export async function pythonImage(): Promise<string> {
  const tag = 'mcp-runner/python-server:local';
  const server = join(SUPPORT, 'python-server/server.py');
  const script = join(SUPPORT, 'python-image.sh');
  await oneAtATime('python-image', () => promisify(execFile)(script, [tag, 'mcp==2.3.0', server]));
  return tag;
}

/** The image of an MCP server from npm, `@scope/name@1.2.3`. Returns its tag. */
export async function npmImage(packageAtVersion: string): Promise<string> {
  const name = packageAtVersion.replace(/@[^@]*$/, '').replace(/^.*\//, '');
  const tag = `mcp-runner/${name}:local`;
  await makeImage('npm', tag, packageAtVersion);
  return tag;
}

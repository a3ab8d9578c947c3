import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { MatrixClient, MatrixTarget } from './client-matrix.js';
import { connectSdkOne } from './client-matrix-sdks.js';
import { textOf, tokenOf } from './client.js';
import { recentNode } from './fixture-node.js';
import { installPackages } from './fixture-packages.js';

interface Program {
  node: string;
  /** Node's first argument. */
  main: string;
}

/** Of slow machines. */
const CONNECT_MS = 120_000;

async function programOf(name: string, version: string, main: string): Promise<Program> {
  const directory = await installPackages(name.replace(/^.*\//, ''), [`${name}@${version}`]);
  return { node: await recentNode(), main: join(directory, 'node_modules', name, main) };
}

const inspectorProgram = (): Promise<Program> =>
  programOf('@modelcontextprotocol/inspector', '2.12.0', 'clients/launcher/build/index.js');
const mcpRemoteProgram = (): Promise<Program> => programOf('mcp-remote', '0.15.1', 'dist/proxy.js');

/** Install what the rows of the matrix run. */
export async function installMatrixPrograms(): Promise<void> {
  await inspectorProgram();
  await mcpRemoteProgram();
}

function authorization(target: MatrixTarget): string {
  return `Authorization: ${tokenOf(target)['authorization'] ?? ''}`;
}

/** The official inspector's command line: each thing it does is a process and a session of its own. */
export async function inspector(kind: 'http' | 'sse', target: MatrixTarget): Promise<MatrixClient> {
  const { node, main } = await inspectorProgram();
  const home = mkdtempSync(join(tmpdir(), 'mcp-runner-inspector-'));
  const url = kind === 'http' ? target.urls.mcp : target.urls.sse;
  async function run<T>(...args: string[]): Promise<T> {
    const patient = ['--connect-timeout', String(CONNECT_MS)];
    const all = [
      main,
      '--cli',
      url,
      '--transport',
      kind,
      ...patient,
      ...args,
      '--header',
      authorization(target),
    ];
    const { stdout } = await promisify(execFile)(node, all, {
      env: { PATH: process.env['PATH'], HOME: home },
    });
    return JSON.parse(stdout) as T;
  }
  return {
    async toolNames() {
      const { tools } = await run<{ tools: { name: string }[] }>('--method', 'tools/list');
      return tools.map(({ name }) => name);
    },
    async echo(text) {
      const call = ['--method', 'tools/call', '--tool-name', 'echo', '--tool-arg', `text=${text}`];
      return textOf(await run<Record<string, unknown>>(...call));
    },
    close: () => {
      rmSync(home, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}

/** The bridge for hosts that know only stdio, as such a host would start it. */
export async function mcpRemote(kind: 'http-only' | 'sse-only', target: MatrixTarget): Promise<MatrixClient> {
  const { node, main } = await mcpRemoteProgram();
  const home = mkdtempSync(join(tmpdir(), 'mcp-runner-mcp-remote-'));
  const url = kind === 'http-only' ? target.urls.mcp : target.urls.sse;
  const client = await connectSdkOne(
    new StdioClientTransport({
      command: node,
      args: [main, url, '--transport', kind, '--allow-http', '--header', authorization(target)],
      env: { PATH: process.env['PATH'] ?? '', HOME: home, MCP_REMOTE_CONFIG_DIR: home },
      stderr: 'ignore',
    }),
  );
  return {
    ...client,
    async close() {
      await client.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

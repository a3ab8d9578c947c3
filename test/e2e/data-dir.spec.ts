import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/own-place.js';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;
const API_KEY = 'a-key-of-this-spec';
const POOL = '10.209.0.0/20';
const START_MS = 30_000;

let dataDir: string;
let port: number;
let service: ChildProcess | undefined;

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'mcp-runner-data-dir-'));
  port = await freePort();
});

afterAll(async () => {
  await end('SIGKILL');
  rmSync(dataDir, { recursive: true });
  await promisify(execFile)('nft', [
    'delete',
    'table',
    'inet',
    `mcp_runner_${POOL.replaceAll(/[./]/g, '_')}`,
  ]);
});

function run(settings: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [MAIN], {
    env: {
      PATH: env['PATH'] ?? '',
      NODE_ENV: 'production',
      DATA_DIR: dataDir,
      SANDBOX_SUBNET_POOL: POOL,
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Resolves when it is healthy. */
async function start(): Promise<void> {
  service = run({ PORT: String(port), API_KEY });
  service.stdout?.resume();
  service.stderr?.resume();
  await expect.poll(isHealthy, { timeout: START_MS }).toBe(true);
}

async function end(signal: NodeJS.Signals): Promise<unknown> {
  if (service === undefined) return undefined;
  const child = service;
  service = undefined;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
  return child.exitCode ?? child.signalCode;
}

async function isHealthy(): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
  return answer?.ok === true;
}

/** What a start prints that ends by itself. */
async function refusedStart(): Promise<{ code: number | null; output: string }> {
  // With no key of the operator's, it would make one and keep it in a file.
  const child = run({ PORT: '0' });
  const late = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    const ended = once(child, 'close');
    if (child.stdout === null || child.stderr === null) throw new Error('It has no output');
    const output = await Promise.all([text(child.stdout), text(child.stderr)]);
    await ended;
    return { code: child.exitCode, output: output.join('') };
  } finally {
    clearTimeout(late);
  }
}

/** Every file with its size and time, but those that the running service changes while it answers. */
function listing(): unknown[] {
  return readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/-(wal|shm)$/.test(name))
    .map((name) => [name, statSync(join(dataDir, name)).size, statSync(join(dataDir, name)).mtimeMs]);
}

describe('a data directory', () => {
  it('has one service; another one says whose it is, touches nothing and ends', async () => {
    await start();
    const before = listing();
    expect(await refusedStart()).toEqual({
      code: 1,
      output: `Cannot start: Another instance of mcp-runner (pid ${service?.pid}) uses ${dataDir}. Stop it, or give this one a DATA_DIR of its own.\n`,
    });
    expect(listing()).toEqual(before);
    expect(await isHealthy()).toBe(true);
    const list = await fetch(`http://127.0.0.1:${port}/api/deployment`, {
      headers: { 'x-api-key': API_KEY },
    });
    expect(list.status).toBe(200);
  });

  it('is free again when its service was killed, and when it ended in order', async () => {
    expect(await end('SIGKILL')).toBe('SIGKILL');
    await start();
    expect((await refusedStart()).output).toContain(`(pid ${service?.pid})`);
    expect(await end('SIGTERM')).toBe(0);
    await start();
    expect(await end('SIGTERM')).toBe(0);
  });

  it('whose database is damaged is refused in one line, and left as it is', async () => {
    const path = join(dataDir, 'mcp-runner.sqlite');
    const whole = readFileSync(path);
    const damaged = Buffer.from(whole).fill(0xa5, 4096, 8192);
    writeFileSync(path, damaged);
    const { code, output } = await refusedStart();
    expect(code).toBe(1);
    expect(output).toMatch(/^Cannot start: The database \S+mcp-runner\.sqlite is damaged .*\n$/);
    expect(output).toContain(`There is no backup in ${join(dataDir, 'backups')}.`);
    expect(readFileSync(path).equals(damaged)).toBe(true);
    writeFileSync(path, whole);
    await start();
    expect(await end('SIGTERM')).toBe(0);
  });
});

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { freePort } from '../support/own-place.js';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;
const TICKS_PER_SECOND = 100;

it('a log that nobody reads any more neither ends the service nor keeps it busy', async () => {
  const port = await freePort();
  const dataDir = mkdtempSync(join(tmpdir(), 'mcp-runner-log-'));
  const child = spawn(process.execPath, [MAIN], {
    env: {
      PATH: env['PATH'],
      NODE_ENV: 'production',
      PORT: String(port),
      API_KEY: 'a-key-for-this-test',
      DATA_DIR: dataDir,
      SANDBOX_SUBNET_POOL: '10.208.0.0/24',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    const healthy = (): Promise<boolean> =>
      fetch(`http://127.0.0.1:${port}/health`).then(
        (answer) => answer.ok,
        () => false,
      );
    while (!(await healthy())) await delay(50);
    child.stdout.destroy();
    child.stderr.destroy();
    // Each of these is logged.
    for (let i = 0; i < 3; i++) await refusedDeployment(port);
    const before = ticksOf(child.pid);
    await delay(1000);
    expect(ticksOf(child.pid) - before).toBeLessThan(TICKS_PER_SECOND / 2);
    expect(await healthy()).toBe(true);
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    rmSync(dataDir, { recursive: true });
    execFileSync('nft', ['delete', 'table', 'inet', 'mcp_runner_10_208_0_0_24']);
  }
});

/** Its image does not exist, so its changes of status are logged; then it is deleted. */
async function refusedDeployment(port: number): Promise<void> {
  const headers = { 'content-type': 'application/json', 'x-api-key': 'a-key-for-this-test' };
  const body = JSON.stringify({ image: '127.0.0.1:1/none', transport: { type: 'stdio' } });
  const url = `http://127.0.0.1:${port}/api/deployment`;
  const created = await fetch(`${url}?wait=30`, { method: 'POST', headers, body });
  const { id } = (await created.json()) as { id: string };
  const deleted = await fetch(`${url}/${id}`, { method: 'DELETE', headers });
  expect(deleted.status).toBe(204);
}

/** CPU time that the process has used, user and system. */
function ticksOf(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ');
  return Number(fields[13]) + Number(fields[14]);
}

// node scripts/sizing.mjs SERVICE_URL SERVICE_PID IMAGE [COUNT] < API_KEY
// What a running service and its deployments take from this machine, and how long a start and a wake take compared with
// the engine's own start of the same image. IMAGE is an MCP server on stdio that is there already. Needs root; deletes
// what it has created.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const ROUNDS = 5;
const SETTLE_MS = 5000;
const ALONE_MS = 120_000;
const END_MS = 30_000;
const [service, pid, image, count = '10'] = process.argv.slice(2);
const apiKey = readFileSync(0, 'utf8').trim();
const print = (text) => process.stdout.write(`${text}\n`);
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const mb = (kb) => `${(kb / 1024).toFixed(1)} MB`;

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'sizing', version: '1' } },
});

async function api(method, path, body) {
  const response = await fetch(`${service}/api/deployment${path}`, {
    method,
    headers: { 'X-API-Key': apiKey, ...(body && { 'Content-Type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(300_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** Resolves when the deployment's server has answered, waking it if it is paused. */
async function handshake({ id }) {
  const response = await fetch(`${service}/mcp-server/${id}/mcp`, {
    method: 'POST',
    headers: {
      'X-API-Key': apiKey,
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
    },
    body: INITIALIZE,
    signal: AbortSignal.timeout(120_000),
  });
  const text = await response.text();
  if (!text.includes('"result"')) throw new Error(`initialize answered ${response.status}: ${text}`);
}

/** The engine's own start of the image under gVisor, until the server has answered the same request. */
async function engineAlone() {
  const name = `mcp-runner-sizing-${process.pid}-${performance.now().toFixed(0)}`;
  const options = ['--rm', '-i', '--name', name, '--network', 'none', '--runtime', 'runsc'];
  const child = spawn('docker', ['run', ...options, image], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const answered = new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', (code) => reject(new Error(`docker run ended with ${code}`)));
    child.once('error', reject);
  });
  // Whoever ends without reading says why by the exit code.
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${INITIALIZE}\n`);
  await inTime(answered, 'did not answer', name, child);
  return () => {
    child.stdin.end();
    return inTime(exited, 'did not end after its input did', name, child);
  };
}

/** Rejects when it takes too long; then the client of the engine and the container are ended. */
async function inTime(promise, failure, name, child) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => {
      child.kill('SIGKILL');
      spawnSync('docker', ['rm', '-f', name], { stdio: 'ignore', timeout: END_MS });
      reject(new Error(`docker run ${image} ${failure} within ${ALONE_MS / 1000} s and was ended`));
    }, ALONE_MS);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Milliseconds until `act` resolves; what it resolves with, if anything, is called afterwards. */
async function timed(act) {
  const begun = performance.now();
  const cleanUp = await act();
  const ms = performance.now() - begun;
  if (typeof cleanUp === 'function') await cleanUp();
  return ms;
}

async function medianOf(act) {
  const times = [];
  for (let round = 0; round < ROUNDS; round += 1) times.push(await timed(act));
  return median(times);
}

function kilobytes(process, file, key) {
  try {
    const line = readFileSync(`/proc/${process}/${file}`, 'utf8')
      .split('\n')
      .find((text) => text.startsWith(`${key}:`));
    return Number(/\d+/.exec(line ?? '')?.[0] ?? 0);
  } catch {
    return 0;
  }
}

/** Its share of memory, with the processes of runtime and engine that belong to it. */
function memoryOf(containerId) {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const own = all.filter((process) => {
    try {
      return readFileSync(`/proc/${process}/cmdline`, 'latin1').includes(containerId);
    } catch {
      return false;
    }
  });
  return own.reduce((sum, process) => sum + kilobytes(process, 'smaps_rollup', 'Pss'), 0);
}

const rss = () => kilobytes(pid, 'status', 'VmRSS');
const request = { image, transport: { type: 'stdio' } };
const created = [];
try {
  await delay(SETTLE_MS);
  print(`control plane, no deployment        ${mb(rss())}`);

  const alone = await medianOf(engineAlone);
  const start = await medianOf(async () => {
    const deployment = await api('POST', '', request);
    created.push(deployment);
    await handshake(deployment);
  });
  const wakes = [];
  for (const deployment of created) {
    await api('POST', `/${deployment.id}/pause?wait=60`);
    wakes.push(await timed(() => handshake(deployment)));
  }
  while (created.length < Number(count)) created.push(await api('POST', '?wait=120', request));
  await delay(SETTLE_MS);
  print(`control plane, ${created.length} running           ${mb(rss())}`);
  const shown = await Promise.all(created.map(({ id }) => api('GET', `/${id}`)));
  print(
    `a running sandbox with its server   ${mb(median(shown.map(({ sandbox }) => memoryOf(sandbox.containerId))))}`,
  );
  for (const { id } of created) await api('POST', `/${id}/pause?wait=60`);
  await delay(SETTLE_MS);
  print(`control plane, ${created.length} paused            ${mb(rss())}`);
  print(
    `a paused sandbox                    ${mb(median(shown.map(({ sandbox }) => memoryOf(sandbox.containerId))))}`,
  );
  print(`docker run until the first answer   ${alone.toFixed(0)} ms`);
  print(`create until the first answer       ${start.toFixed(0)} ms, ${(start / alone).toFixed(2)} of that`);
  print(
    `wake until the first answer         ${median(wakes).toFixed(0)} ms, ${(median(wakes) / alone).toFixed(2)} of that`,
  );
} finally {
  for (const { id } of created) await api('DELETE', `/${id}`);
}

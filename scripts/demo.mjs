// node scripts/demo.mjs SERVICE_URL IMAGE STATE_FILE < API_KEY
// Deploys IMAGE to the running service, or finds the demo that STATE_FILE remembers, calls it, and prints what a user
// needs to connect a client of their own.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { callEcho } from './demo-client.mjs';

const [service, image, stateFile] = process.argv.slice(2);
const apiKey = readFileSync(0, 'utf8').trim();
const print = (text) => process.stdout.write(`${text}\n`);
const json = (value) => JSON.stringify(value, undefined, 2);

async function api(method, path, body) {
  const response = await fetch(`${service}/api/deployment${path}`, {
    method,
    headers: { 'X-API-Key': apiKey, ...(body && { 'Content-Type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(120_000),
  });
  const text = await response.text();
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`${method} ${path || '/'} answered ${response.status}: ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

function readState() {
  try {
    return JSON.parse(readFileSync(stateFile, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The demo of an earlier run if it still runs from this very image; otherwise a new one in its place. */
async function deploy() {
  const imageId = execFileSync('docker', ['image', 'inspect', '--format', '{{.Id}}', image], {
    encoding: 'utf8',
  }).trim();
  const state = readState();
  const known = state && (await api('GET', `/${state.id}`));
  if (known?.status === 'running' && state.imageId === imageId) {
    print(`    deployment ${known.id} is there already`);
    return { ...known, accessToken: state.accessToken };
  }
  if (known) await api('DELETE', `/${state.id}`);
  const created = await api('POST', '?wait=60', { name: 'demo', image, transport: { type: 'stdio' } });
  const { id, accessToken, status, statusReason } = created;
  writeFileSync(stateFile, JSON.stringify({ id, accessToken, imageId }), { mode: 0o600 });
  if (status !== 'running') throw new Error(`The demo is ${status}: ${JSON.stringify(statusReason)}`);
  print(`    deployment ${id} runs in ${created.sandbox.runtime}`);
  return created;
}

function printConnection(url, token) {
  const headers = { Authorization: `Bearer ${token}` };
  print(`
MCP server: ${url}

Claude Code:
claude mcp add --transport http mcp-runner-demo ${url} --header "Authorization: Bearer ${token}"

Cursor, ~/.cursor/mcp.json:
${json({ mcpServers: { 'mcp-runner-demo': { url, headers } } })}

VS Code, .vscode/mcp.json:
${json({ servers: { 'mcp-runner-demo': { type: 'http', url, headers } } })}`);
}

const { urls, accessToken } = await deploy();
const { server, tools, answer } = await callEcho(urls.mcp, accessToken, 'hello from a sandbox');
print(`    connected to ${server.name} ${server.version}`);
print(`    tools: ${tools.join(', ')}`);
print(`    echo answered: ${answer}`);
if (!answer.includes('hello from a sandbox')) throw new Error('The answer is not what was asked for.');
printConnection(urls.mcp, accessToken);

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;
const POLL_MS = 50;
const START_MS = 30_000;
/** Forty at once take their time on two cores. */
const SETTLE_MS = 240_000;
const STOP_MS = 30_000;
const UIDS_PER_SERVICE = 64;

/** The part of the resource that tests look at. */
export interface Deployment {
  id: string;
  status: string;
  statusReason: { code: string; message: string; at: string };
  urls: { mcp: string; sse: string; ws: string };
  access: string;
  /** Only in the answer to POST. */
  accessToken?: string;
  user: { name: string; uid: number; gid: number };
  network: { name: string | null; subnet: string };
  sandbox: { runtime: string | null; containerId: string | null };
}

export interface DeploymentRequest {
  image: string;
  transport?: { type: 'stdio' | 'streamable_http' | 'sse'; endpoint?: string };
  sessionMode?: 'isolated' | 'shared';
  args?: string[];
  env?: Record<string, string>;
  access?: 'token' | 'public';
  name?: string;
  maxSessions?: number;
  maxMemory?: number;
  maxCpus?: number;
  maxPids?: number;
  warmProcesses?: number;
  startTimeoutSeconds?: number;
}

export interface ApiAnswer<T> {
  status: number;
  headers: Headers;
  body: T;
}

/** The built service as a process of its own, with its own port, data directory, addresses and uids. */
export class Service {
  private readonly output: string[] = [];

  private constructor(
    readonly port: number,
    readonly apiKey: string,
    readonly dataDir: string,
    private readonly subnetPool: string,
    private readonly child: ChildProcess,
  ) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.output.push(text));
    }
  }

  /** Resolves when /health is good. */
  static async start(options: { apiKey?: string; env?: Record<string, string> } = {}): Promise<Service> {
    if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run "npm run build" first`);
    const { apiKey = randomBytes(24).toString('base64url') } = options;
    const port = await freePort();
    const subnetPool = subnetPoolOf(port);
    const dataDir = mkdtempSync(join(tmpdir(), 'mcp-runner-service-'));
    const child = spawn(process.execPath, [MAIN], {
      env: {
        PATH: env['PATH'] ?? '',
        HOME: env['HOME'] ?? '/root',
        NODE_ENV: 'production',
        PORT: String(port),
        BIND_IP: '127.0.0.1',
        API_KEY: apiKey,
        DATA_DIR: dataDir,
        SANDBOX_SUBNET_POOL: subnetPool,
        ...uidsOf(port),
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const service = new Service(port, apiKey, dataDir, subnetPool, child);
    try {
      await service.untilHealthy();
    } catch (error) {
      child.kill('SIGKILL');
      rmSync(dataDir, { recursive: true, force: true });
      throw error;
    }
    return service;
  }

  get origin(): string {
    return `http://localhost:${this.port}`;
  }

  /** Everything the service has printed. */
  get log(): string {
    return this.output.join('');
  }

  /** A call of the REST API with our key, unless `headers` say otherwise. */
  async api<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = { 'x-api-key': this.apiKey },
  ): Promise<ApiAnswer<T>> {
    const answer = await fetch(`${this.origin}${path}`, {
      method,
      headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: (text && JSON.parse(text)) as T };
  }

  /** Create a deployment and return at once. */
  async create(request: DeploymentRequest): Promise<Deployment> {
    const answer = await this.api<Deployment>('POST', '/api/deployment', {
      transport: { type: 'stdio' },
      ...request,
    });
    if (answer.status !== 201) {
      throw new Error(`POST /api/deployment answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  }

  async get(id: string): Promise<Deployment> {
    const answer = await this.api<Deployment>('GET', `/api/deployment/${id}`);
    if (answer.status !== 200) throw new Error(`GET of ${id} answered ${answer.status}`);
    return answer.body;
  }

  /** The deployment once it runs or failed. */
  async settled(id: string): Promise<Deployment> {
    for (const until = Date.now() + SETTLE_MS; Date.now() < until; await delay(POLL_MS)) {
      const deployment = await this.get(id);
      if (deployment.status === 'running' || deployment.status === 'failed') return deployment;
    }
    const about = this.log.split('\n').filter((line) => line.includes(id));
    throw new Error(`${id} neither runs nor failed after ${SETTLE_MS} ms\n${about.join('\n')}`);
  }

  /** Create a deployment and wait until it runs; throws the reason when it does not. */
  async deploy(request: DeploymentRequest): Promise<Deployment & { accessToken: string }> {
    const { id, accessToken = '' } = await this.create(request);
    const deployment = await this.settled(id);
    if (deployment.status !== 'running') throw new Error(JSON.stringify(deployment.statusReason));
    return { ...deployment, accessToken };
  }

  async delete(id: string): Promise<void> {
    const answer = await this.api('DELETE', `/api/deployment/${id}`);
    if (answer.status !== 204)
      throw new Error(`DELETE of ${id} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  }

  /** Delete its deployments, end it with SIGTERM, and insist that it ends well. */
  async stop(): Promise<void> {
    let code: number | string | null = null;
    try {
      const { body } = await this.api<{ items: Deployment[] }>('GET', '/api/deployment?limit=100');
      await Promise.all(body.items.map(({ id }) => this.delete(id)));
    } finally {
      code = await this.end();
      rmSync(this.dataDir, { recursive: true, force: true });
    }
    await this.removeFirewall();
    if (code !== 0) throw new Error(`The service ended with ${code}\n${this.log}`);
  }

  /** It outlives the service on purpose, for the sandboxes that do; here there are none. */
  private async removeFirewall(): Promise<void> {
    const table = `mcp_runner_${this.subnetPool.replaceAll(/[./]/g, '_')}`;
    await promisify(execFile)('nft', ['delete', 'table', 'inet', table]);
  }

  private async end(): Promise<number | string | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGTERM');
      const late = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(late);
    }
    return this.child.exitCode ?? this.child.signalCode;
  }

  private async untilHealthy(): Promise<void> {
    for (const until = Date.now() + START_MS; Date.now() < until; await delay(POLL_MS)) {
      if (this.child.exitCode !== null) throw new Error(`The service did not start:\n${this.log}`);
      const health = await fetch(`${this.origin}/health`).catch(() => undefined);
      if (health?.ok) return;
    }
    throw new Error(`The service is not healthy after ${START_MS} ms:\n${this.log}`);
  }
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('There is no free port');
  return address.port;
}

/** A /20 that services on other ports most likely do not have. */
function subnetPoolOf(port: number): string {
  return `10.${128 + ((port >> 4) % 64)}.${(port % 16) * 16}.0/20`;
}

function uidsOf(port: number): Record<string, string> {
  const first = 300_000 + (port % 4096) * UIDS_PER_SERVICE;
  return { SANDBOX_UID_FIRST: String(first), SANDBOX_UID_LAST: String(first + UIDS_PER_SERVICE - 1) };
}

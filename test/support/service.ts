import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { tableNameOf } from '../../src/containers/docker/firewall-rules.js';
import { type OwnPlace, ownPlace } from './own-place.js';
import { PAUSES } from './pauses.js';
import { PausingFront } from './pausing-front.js';
import { type ServiceEnd, ServiceProcess, type ServiceRun } from './service-process.js';

const POLL_MS = 50;
const START_MS = 30_000;
/** Forty at once take their time on two cores. */
const SETTLE_MS = 240_000;
const STOP_MS = 30_000;

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
  pauseAfterSeconds?: number;
  sessionIdleSeconds?: number;
  autoStart?: boolean;
}

export interface ApiAnswer<T> {
  status: number;
  headers: Headers;
  body: T;
}

interface ServiceOptions {
  apiKey?: string;
  env?: Record<string, string>;
  /** `crashAt` works. */
  canCrash?: boolean;
  /** Its URLs and its port are those of a front that forces a pause between any two requests; see pausing-front.ts. */
  pauses?: boolean;
  /** In place of a process; `settings` is its environment, everything it prints goes to `print`. */
  launch?: (settings: Record<string, string>, print: (text: string) => void) => ServiceRun;
}

/**
 * The built service as a process of its own, with its own port, data directory, addresses and uids. A restart is another
 * process with the same.
 */
export class Service {
  private readonly output: string[] = [];
  private process: ServiceRun;

  private constructor(
    private readonly place: OwnPlace,
    readonly apiKey: string,
    readonly dataDir: string,
    private readonly options: ServiceOptions,
    readonly front: PausingFront | undefined,
  ) {
    this.process = this.launch({});
  }

  /** Resolves when /health is good. */
  static async start(options: ServiceOptions = {}): Promise<Service> {
    const { apiKey = randomBytes(24).toString('base64url'), pauses = PAUSES } = options;
    const place = await ownPlace();
    const front = pauses ? await PausingFront.start(apiKey, place.port) : undefined;
    const dataDir = mkdtempSync(join(tmpdir(), 'mcp-runner-service-'));
    const service = new Service(place, apiKey, dataDir, options, front);
    try {
      await service.untilHealthy();
    } catch (error) {
      await front?.stop();
      await service.kill();
      rmSync(dataDir, { recursive: true, force: true });
      throw error;
    }
    return service;
  }

  /** Where clients come. */
  get port(): number {
    return this.front?.port ?? this.place.port;
  }

  get subnetPool(): string {
    return this.options.env?.['SANDBOX_SUBNET_POOL'] ?? this.place.subnetPool;
  }

  /** The first and the last uid of its sandboxes. */
  get uids(): [number, number] {
    return this.place.uids;
  }

  get origin(): string {
    return `http://localhost:${this.port}`;
  }

  get pid(): number {
    return this.process.pid;
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
    throw new Error(`${id} neither runs nor failed after ${SETTLE_MS} ms\n${this.logOf(id)}`);
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
    if (answer.status === 204) return;
    const told = `${answer.status}: ${JSON.stringify(answer.body)}`;
    throw new Error(`DELETE of ${id} answered ${told}\n${this.logOf(id)}`);
  }

  private logOf(id: string): string {
    const about = this.log.split('\n').filter((line) => line.includes(id));
    return about.join('\n');
  }

  /** Delete all its deployments. */
  async deleteAll(): Promise<void> {
    const { body } = await this.api<{ items: Deployment[] }>('GET', '/api/deployment?limit=100');
    await Promise.all(body.items.map(({ id }) => this.delete(id)));
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.process.end('SIGKILL', STOP_MS);
  }

  /** From now on it kills itself at this point; see crash-at.mjs. */
  crashAt(point: string): Promise<void> {
    return this.process.crashAt(point);
  }

  /** Waits for an end that is not caused here. Throws when it does not come. */
  untilExited(): Promise<ServiceEnd> {
    return this.process.untilExited();
  }

  /** Another process on the same data, at the same URLs; one that still runs is ended with SIGTERM. Resolves when /health is good. */
  async restart(): Promise<void> {
    await this.process.end('SIGTERM', STOP_MS);
    this.process = this.launch({});
    await this.untilHealthy();
  }

  /** As `restart`, but with this point to crash at. Resolves when it has ended. */
  async restartUntilCrash(point: string): Promise<ServiceEnd> {
    await this.process.end('SIGTERM', STOP_MS);
    this.process = this.launch({ CRASH_AT: point });
    return this.untilExited();
  }

  /** Delete its deployments, end it with SIGTERM, and insist that it ends well. */
  async stop(): Promise<void> {
    let end: ServiceEnd | undefined;
    try {
      await this.deleteAll();
    } finally {
      await this.front?.stop();
      end = await this.process.end('SIGTERM', STOP_MS);
      rmSync(this.dataDir, { recursive: true, force: true });
    }
    await this.removeFirewall();
    if (end !== 0) throw new Error(`The service ended with ${end}\n${this.log}`);
  }

  /** Its whole environment; commands beside it have the same. */
  get settings(): Record<string, string> {
    const [first, last] = this.uids;
    return {
      PATH: env['PATH'] ?? '',
      HOME: env['HOME'] ?? '/root',
      NODE_ENV: 'production',
      PORT: String(this.place.port),
      BIND_IP: '127.0.0.1',
      API_KEY: this.apiKey,
      DATA_DIR: this.dataDir,
      SANDBOX_SUBNET_POOL: this.subnetPool,
      SANDBOX_UID_FIRST: String(first),
      SANDBOX_UID_LAST: String(last),
      ...(this.front && { PUBLIC_URL: this.origin }),
      ...this.options.env,
    };
  }

  private launch(extra: Record<string, string>): ServiceRun {
    const settings = { ...this.settings, ...extra };
    const print = (text: string): unknown => this.output.push(text);
    return (
      this.options.launch?.(settings, print) ??
      new ServiceProcess(settings, this.options.canCrash === true, print)
    );
  }

  /** It outlives the service on purpose, for the sandboxes that do; here there are none. */
  private async removeFirewall(): Promise<void> {
    await promisify(execFile)('nft', ['delete', 'table', 'inet', tableNameOf(this.subnetPool)]);
  }

  async untilHealthy(): Promise<void> {
    for (const until = Date.now() + START_MS; Date.now() < until; await delay(POLL_MS)) {
      if (this.process.ended !== undefined) throw new Error(`The service did not start:\n${this.log}`);
      const health = await fetch(`${this.origin}/health`).catch(() => undefined);
      if (health?.ok) return;
    }
    throw new Error(`The service is not healthy after ${START_MS} ms:\n${this.log}`);
  }
}

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Config } from '../../src/config/config.js';
import { tableNameOf } from '../../src/containers/docker/firewall-rules.js';
import { DockerRuntime } from '../../src/containers/docker/docker-runtime.js';
import type { ProcessSpec, Sandbox, SandboxSpec } from '../../src/containers/sandbox-runtime.js';
import { LANE } from './lane.js';
import { SandboxRun } from './sandbox-run.js';

const POOL = `10.${220 + LANE}.0.0/16`;
const FIRST_UID = 600_000;
/** Made by `create` in the machine's engine. */
export const NODE_IMAGE = 'mcp-runner/node-base:local';
const run = promisify(execFile);
const repository = new URL('../..', import.meta.url).pathname;

export const never = new AbortController().signal;

/** stdout of a command of this machine. */
export async function hostCommand(command: string, ...args: string[]): Promise<string> {
  return (await run(command, args)).stdout;
}

/** A runtime with a data directory and an address pool of its own on the real engine. */
export class SandboxHost {
  private made = 0;
  private readonly specs: SandboxSpec[] = [];

  private constructor(
    readonly config: Config,
    readonly runtime: DockerRuntime,
  ) {}

  static async create(settings: Partial<Config> = {}): Promise<SandboxHost> {
    await run('bash', [join(repository, 'scripts/make-image.sh'), 'base']);
    const dataDir = await mkdtemp(join(tmpdir(), 'mcp-runner-test-'));
    const config = Object.assign(new Config(), { dataDir, sandboxSubnetPool: POOL, ...settings });
    const host = new SandboxHost(config, new DockerRuntime(config));
    await host.runtime.prepare(never);
    return host;
  }

  /** stdout of the engine's own command, as an operator would use it behind the runtime's back. */
  docker(...args: string[]): Promise<string> {
    return hostCommand('docker', '--host', `unix://${this.config.dockerSocket}`, ...args);
  }

  /** A deployment that no other one is like. The image runs whatever `args` say. */
  spec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
    const number = this.made;
    this.made += 1;
    const [first, second] = this.config.sandboxSubnetPool.split('.');
    const uid = FIRST_UID + Number(second) * 1000 + number;
    const spec: SandboxSpec = {
      deploymentId: `dp_${randomBytes(16).toString('base64url')}`,
      image: NODE_IMAGE,
      limits: { memoryMb: 256, cpus: 1, pids: 128, diskMb: 64 },
      user: { name: `mcp-${uid}`, uid, gid: uid },
      subnet: `${first}.${second}.${Math.floor(number / 32)}.${(number % 32) * 8}/29`,
      ...changes,
    };
    this.specs.push(spec);
    return spec;
  }

  async start(changes: Partial<SandboxSpec> = {}): Promise<Sandbox & { spec: SandboxSpec }> {
    const spec = this.spec(changes);
    const sandbox = await this.runtime.start(spec, () => undefined, never);
    return { ...sandbox, spec };
  }

  /** Start a process and gather what it says. */
  async spawn(deploymentId: string, args: string[], env: ProcessSpec['env'] = {}): Promise<SandboxRun> {
    return new SandboxRun(await this.runtime.spawn(deploymentId, { args, env }, never));
  }

  /** The stdout of a Node script that ends by itself. */
  async script(deploymentId: string, code: string, ...args: string[]): Promise<string> {
    const process = await this.spawn(deploymentId, ['node', '-e', code, ...args]);
    await process.exited;
    return process.stdout.trim();
  }

  /** Whatever the machine has of this host's deployments, one line each. */
  async leftovers(): Promise<string[]> {
    const label = ['--filter', `label=mcp-runner.instance=${await this.instance()}`, '--format', '{{.Name}}'];
    const engine = await Promise.all([
      this.docker('ps', '-a', ...label.slice(0, 2), '--format', '{{.Names}}'),
      this.docker('network', 'ls', ...label),
      this.docker('volume', 'ls', ...label),
      hostCommand('losetup', '--noheadings', '--output', 'BACK-FILE').then((text) =>
        text
          .split('\n')
          .filter((line) => line.includes(this.config.dataDir))
          .join('\n'),
      ),
    ]);
    const accounts = await Promise.all(
      ['/etc/passwd', '/etc/group', '/etc/shadow'].map(async (file) =>
        (await readFile(file, 'utf8'))
          .split('\n')
          .filter((line) => this.specs.some(({ user }) => line.startsWith(`${user.name}:`))),
      ),
    );
    const homes = await readdir(join(this.config.dataDir, 'homes'));
    const lines = engine.flatMap((text) => text.split('\n'));
    return [...lines, ...accounts.flat(), ...homes].map((line) => line.trim()).filter((line) => line !== '');
  }

  /** As an operator would, behind the runtime's back. */
  async killContainer(containerId: string): Promise<void> {
    await this.docker('kill', containerId);
  }

  /** Takes the firewall table away, as an operator's `nft flush ruleset` would. */
  async dropFirewall(): Promise<void> {
    await run('nft', ['delete', 'table', 'inet', tableNameOf(this.config.sandboxSubnetPool)]);
  }

  async dispose(): Promise<void> {
    try {
      for (const spec of this.specs) await this.runtime.remove(spec, never);
    } finally {
      await this.runtime.onApplicationShutdown();
      await this.dropFirewall().catch(() => undefined);
      await rm(this.config.dataDir, { recursive: true, force: true });
    }
  }

  private async instance(): Promise<string> {
    return (await readFile(join(this.config.dataDir, 'instance-id'), 'utf8')).trim();
  }
}

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { LANE } from './lane.js';

const run = promisify(execFile);
const POLL_MS = 50;
const START_MS = 60_000;
const STOP_MS = 60_000;
const LAST_WORDS = 2_000;
const BRIDGE_ADDRESS = `10.211.${LANE}.1/28`;

/**
 * A second Docker engine for a test that wants to do it harm: with state, containers and images of its own, and without any
 * hold on the machine's packet filter (so its containers reach the machine and each other's, but not the world).
 */
export class PrivateEngine {
  private daemon: ChildProcess | undefined;

  private constructor(private readonly folder: string) {}

  /** It runs, knows the runtimes of the machine's engine and has `diskMb` for images and containers. */
  static async create(diskMb = 768): Promise<PrivateEngine> {
    const engine = new PrivateEngine(await mkdtemp(join(tmpdir(), 'mcp-runner-engine-')));
    try {
      await mkdir(engine.dataRoot);
      // Without one it would take the machine's own default bridge away.
      await run('ip', ['link', 'add', engine.bridge, 'type', 'bridge']);
      await run('ip', ['address', 'add', BRIDGE_ADDRESS, 'dev', engine.bridge]);
      await run('mount', ['-t', 'tmpfs', '-o', `size=${diskMb}m`, 'tmpfs', engine.dataRoot]);
      const runtimes = JSON.parse(
        (await run('docker', ['info', '--format', '{{json .Runtimes}}'])).stdout,
      ) as Record<string, { path: string }>;
      const added = Object.entries(runtimes).filter(([name]) => name !== 'runc' && !name.startsWith('io.'));
      await writeFile(engine.configFile, JSON.stringify({ runtimes: Object.fromEntries(added) }));
      await engine.start();
    } catch (error) {
      await engine.dispose();
      throw error;
    }
    return engine;
  }

  /** For DOCKER_SOCKET. */
  get socket(): string {
    return join(this.folder, 'docker.sock');
  }

  /** A folder on the disk that images and containers are on. */
  get dataRoot(): string {
    return join(this.folder, 'data');
  }

  /** stdout of the docker command. */
  async docker(...args: string[]): Promise<string> {
    return (await run('docker', ['--host', `unix://${this.socket}`, ...args])).stdout;
  }

  /** Copies images of the machine's engine. */
  async load(...images: string[]): Promise<void> {
    const script = 'docker save "${@:2}" | docker --host "$1" load --quiet';
    await run('bash', ['-o', 'pipefail', '-c', script, 'bash', `unix://${this.socket}`, ...images]);
  }

  /** Resolves when it answers; fine when it runs. */
  async start(): Promise<void> {
    if (this.runs) return;
    const { folder } = this;
    const log = await open(this.logFile, 'a');
    try {
      const state = ['--data-root', this.dataRoot, '--exec-root', join(folder, 'exec')];
      const files = ['--pidfile', join(folder, 'pid'), '--config-file', this.configFile];
      // Of a containerd that it shares with others, where the machine has such a one, it sees only what is its own.
      const namespace = folder.replace(/.*-/, 'mcp-runner-');
      const names = [
        '--containerd-namespace',
        namespace,
        '--containerd-plugins-namespace',
        `${namespace}-plugins`,
      ];
      const network = [
        `--bridge=${this.bridge}`,
        '--iptables=false',
        '--ip-forward=false',
        '--ip-masq=false',
      ];
      const address = ['--host', `unix://${this.socket}`];
      this.daemon = spawn('dockerd', [...address, ...state, ...files, ...names, ...network], {
        stdio: ['ignore', log.fd, log.fd],
        detached: true,
      });
    } finally {
      await log.close();
    }
    const until = Date.now() + START_MS;
    while (!(await this.answers())) {
      if (!this.runs || Date.now() > until)
        throw new Error(`dockerd did not start: ${await this.lastWords()}`);
      await delay(POLL_MS);
    }
  }

  /** As an operator does it: containers are ended with it. */
  async stop(): Promise<void> {
    await this.end('SIGTERM');
  }

  /** Containers live on until it is started again, which ends them. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
    // Its containerd is ended with it. Where nobody has reaped that one yet, a new dockerd would count on it.
    await rm(join(this.folder, 'exec/containerd/containerd.pid'), { force: true });
  }

  /** It takes connections but does not answer. */
  freeze(): void {
    this.daemon?.kill('SIGSTOP');
  }

  thaw(): void {
    this.daemon?.kill('SIGCONT');
  }

  /** Whatever state it is in; nothing of it is left. */
  async dispose(): Promise<void> {
    try {
      this.thaw();
      await this.stop();
    } finally {
      await this.killLeftovers();
      await run('ip', ['link', 'delete', this.bridge]).catch(() => undefined);
      await this.unmountAll();
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  private get bridge(): string {
    return `mcprt-${this.folder.replace(/.*-/, '')}`;
  }

  private get configFile(): string {
    return join(this.folder, 'daemon.json');
  }

  private get logFile(): string {
    return join(this.folder, 'log');
  }

  private get runs(): boolean {
    return this.daemon !== undefined && this.daemon.exitCode === null && this.daemon.signalCode === null;
  }

  private async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { daemon } = this;
    if (daemon === undefined || !this.runs) return;
    const exited = once(daemon, 'exit', { signal: AbortSignal.timeout(STOP_MS) });
    daemon.kill(signal);
    await exited;
  }

  private answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const options = { socketPath: this.socket, path: '/_ping', timeout: 1000, agent: false as const };
      const ping = request(options, (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      });
      ping.on('timeout', () => ping.destroy());
      ping.on('error', () => resolve(false));
      ping.end();
    });
  }

  private async lastWords(): Promise<string> {
    return (await readFile(this.logFile, 'utf8').catch(() => '')).slice(-LAST_WORDS);
  }

  /** Ids of those with a file of ours among their arguments. */
  private async processes(file: string): Promise<number[]> {
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const ours = pids.map(async (pid) => {
      const argv = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
      return argv.includes(`${this.folder}${file}`) ? [Number(pid)] : [];
    });
    return (await Promise.all(ours)).flat();
  }

  /** Shims and the sandboxes that they hold. */
  private async killLeftovers(): Promise<void> {
    for (const pid of await this.processes('/')) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone in the meantime.
      }
    }
  }

  private async unmountAll(): Promise<void> {
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
    const ours = mounts
      .map((line) => line.split(' ')[1] ?? '')
      .filter((path) => path.startsWith(this.folder));
    // The innermost first.
    for (const path of ours.toReversed()) await run('umount', ['--lazy', path]);
  }
}

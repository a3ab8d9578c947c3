import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceEnd, ServiceRun } from './service-process.js';

const TAG = 'mcp-runner/mcp-runner:local';
const BUILD = new URL('runner-image.sh', import.meta.url).pathname;
/** What a process of ours gets and a container of its own accord has. */
const OWN = ['PATH', 'HOME', 'NODE_ENV'];
const EXIT_MS = 60_000;
const POLL_MS = 100;

/** The image of the service itself, built from the Dockerfile where that is needed. Returns its tag. */
export function runnerImage(): string {
  execFileSync(BUILD, [TAG], { stdio: ['ignore', 'ignore', 'inherit'] });
  return TAG;
}

/** Some virtual machines withhold this one capability from root, and an engine there cannot give it to anybody. */
const SYS_RESOURCE = 24n;
/** What `--privileged` stands for, less that. */
const ALMOST_PRIVILEGED = [
  '--cap-add=ALL',
  '--cap-drop=SYS_RESOURCE',
  '--device=/dev/loop-control',
  '--device-cgroup-rule=a *:* rwm',
  '--security-opt=seccomp=unconfined',
  '--security-opt=apparmor=unconfined',
  '--security-opt=systempaths=unconfined',
];

function privileged(): string[] {
  const own = /^CapBnd:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${own}`) >> SYS_RESOURCE) & 1n ? ['--privileged'] : ALMOST_PRIVILEGED;
}

/** A documented `docker run`, as arguments, changed in what two services on one machine cannot share. */
export function runArguments(
  command: string,
  name: string,
  image: string,
  settings: Record<string, string>,
): string[] {
  // The shell takes it apart, as it does for whoever pastes it.
  const words = execFileSync('bash', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' });
  const { DATA_DIR: dataDir } = settings;
  const changed = words
    .split('\0')
    .slice(1, -2)
    .flatMap((word) => (word === '--privileged' ? privileged() : [word]))
    .map((word) => (word === 'mcp-runner-container' ? name : word))
    .map((word) => (word === '/var/mcp-runner:/var/mcp-runner' ? `${dataDir}:${dataDir}` : word));
  const ours = Object.entries(settings).filter(([key]) => !OWN.includes(key));
  // Of a variable that is given twice, the later one counts.
  return [...changed, ...ours.flatMap(([key, value]) => ['-e', `${key}=${value}`]), image];
}

function docker(...args: string[]): string {
  return execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/** One run of the service in a container. It is removed when it has ended. */
export class ServiceContainer implements ServiceRun {
  private code: ServiceEnd | undefined;
  private readonly heard: Promise<unknown>;

  /** `args`: those of `docker`, for a container of this name that is detached. */
  constructor(
    readonly name: string,
    args: string[],
    print: (text: string) => void,
  ) {
    try {
      docker(...args);
    } catch (error) {
      // It was made all the same.
      docker('rm', '--force', name);
      throw error;
    }
    const logs = spawn('docker', ['logs', '--follow', name], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [logs.stdout, logs.stderr]) stream.setEncoding('utf8').on('data', print);
    this.heard = once(logs, 'close');
  }

  /** The container's first process, as the host sees it. */
  get pid(): number {
    return Number(docker('inspect', '--format', '{{.State.Pid}}', this.name));
  }

  /** Undefined also while the engine is about to start it again. */
  get ended(): ServiceEnd | undefined {
    if (this.code !== undefined) return this.code;
    const [status, code] = docker(
      'inspect',
      '--format',
      '{{.State.Status}} {{.State.ExitCode}}',
      this.name,
    ).split(' ');
    return status === 'exited' ? Number(code) : undefined;
  }

  async untilExited(ms = EXIT_MS): Promise<ServiceEnd> {
    for (const until = Date.now() + ms; Date.now() < until; await delay(POLL_MS)) {
      if (this.ended !== undefined) return this.ended;
    }
    throw new Error(`${this.name} still runs after ${ms} ms`);
  }

  /** As an operator does it; it is not started again by itself. */
  async end(signal: NodeJS.Signals, ms: number): Promise<ServiceEnd> {
    if (this.code !== undefined) return this.code;
    if (this.ended === undefined) {
      const args = signal === 'SIGTERM' ? ['stop', '--time', String(ms / 1000)] : ['kill'];
      await once(spawn('docker', [...args, this.name], { stdio: 'ignore' }), 'close');
    }
    this.code = await this.untilExited();
    await this.heard;
    docker('rm', '--force', this.name);
    return this.code;
  }

  crashAt(): Promise<void> {
    return Promise.reject(new Error('It was started without the means to crash'));
  }
}

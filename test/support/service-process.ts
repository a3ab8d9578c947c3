import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import process from 'node:process';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;
const CRASH_AT = new URL('crash-at.mjs', import.meta.url).pathname;
const ARM_MS = 10_000;
const EXIT_MS = 60_000;

/** How it ended: its exit code, or the signal. */
export type ServiceEnd = number | NodeJS.Signals;

/** What `Service` needs of a run, whatever it runs in. */
export type ServiceRun = Pick<ServiceProcess, 'pid' | 'ended' | 'untilExited' | 'end' | 'crashAt'>;

/** One run of the built service. Everything it prints goes to `print`. */
export class ServiceProcess {
  private readonly child: ChildProcess;
  private readonly exited: Promise<unknown>;

  /** @param canCrash it can be told a point at which it kills itself; see crash-at.mjs */
  constructor(
    settings: Record<string, string>,
    private readonly canCrash: boolean,
    print: (text: string) => void,
  ) {
    if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run "npm run build" first`);
    const nodeArgs = canCrash ? ['--import', CRASH_AT] : [];
    this.child = spawn(process.execPath, [...nodeArgs, MAIN], {
      env: settings,
      stdio: ['ignore', 'pipe', 'pipe', ...(canCrash ? (['ipc'] as const) : [])],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', print);
    }
    // With its last words.
    this.exited = once(this.child, 'close');
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('The service could not be started');
    return this.child.pid;
  }

  /** Undefined while it runs. */
  get ended(): ServiceEnd | undefined {
    return this.child.exitCode ?? this.child.signalCode ?? undefined;
  }

  /** Waits for an end that is not caused here. Throws when it does not come. */
  async untilExited(ms = EXIT_MS): Promise<ServiceEnd> {
    let late: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      late = setTimeout(() => reject(new Error(`The service still runs after ${ms} ms`)), ms);
    });
    try {
      await Promise.race([this.exited, timeout]);
    } finally {
      clearTimeout(late);
    }
    return this.ended ?? 0;
  }

  /** End it; with SIGKILL when `signal` has not ended it after `ms`. */
  async end(signal: NodeJS.Signals, ms: number): Promise<ServiceEnd> {
    if (this.ended === undefined) this.child.kill(signal);
    const late = setTimeout(() => this.child.kill('SIGKILL'), ms);
    await this.exited;
    clearTimeout(late);
    return this.ended ?? 0;
  }

  /** From now on it kills itself at this point. Throws when there is no such point. */
  async crashAt(point: string): Promise<void> {
    if (!this.canCrash) throw new Error('It was started without the means to crash');
    const answered = once(this.child, 'message', { signal: AbortSignal.timeout(ARM_MS) });
    this.child.send(point);
    const [{ refused }] = (await answered) as [{ refused?: string }];
    if (refused !== undefined) throw new Error(refused);
  }
}

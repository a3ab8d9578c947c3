import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../errors/app-error.js';
import type { Engine } from './engine.js';
import { signalCommand, type SignalTarget, TAG } from './launcher.js';
import { goneOr, runInside } from './sandbox-exec.js';

/** For one script in a sandbox whose processes take all the CPU there is. */
const SCRIPT_MS = 15_000;
/** A sandbox in which no script has run for so long after a request counts as beyond repair. */
const GIVE_UP_MS = 20_000;
const PAUSE_MS = 50;
const PAUSE_WHILE_AWAY_MS = 1_000;
const PROCESS = /^(\d+) (\d+) (\S)$/;
const TAGGED = new RegExp(`^/proc/(\\d+)/environ:${TAG}=(\\w+)$`);

/** What is to be signalled: the process group, and whatever carries the tag. */
export interface SignalRequest {
  name: 'TERM' | 'KILL';
  /** Undefined: the pid never became known. */
  group: number | undefined;
  tag: string;
  /** How long to look whether it is gone, repeating the signal. */
  waitMs: number;
}

interface Waiting extends SignalRequest {
  until: number;
  giveUpAt: number;
  /** Processes with the tag that left the group, as last seen. */
  strays: number[];
  answer: (gone: boolean) => void;
}

interface Seen {
  pid: number;
  group: number;
  tag: string | undefined;
}

/**
 * Signals processes in sandboxes and sees whether they are gone. All requests of one sandbox share one script at a time:
 * when many sessions end at once, a script each would keep the sandbox too busy to do what they ask.
 */
export class ProcessSignals {
  private readonly waiting = new Map<string, Waiting[]>();

  constructor(private readonly engine: Engine) {}

  /**
   * False: something of it is left. True: nothing is, or the engine is away and nobody can tell; then it is signalled when
   * the engine is back. Never rejects.
   */
  send(containerId: string, request: SignalRequest): Promise<boolean> {
    return new Promise((resolve) => {
      const now = Date.now();
      const giveUpAt = now + Math.max(request.waitMs, GIVE_UP_MS);
      const item = { ...request, until: now + request.waitMs, giveUpAt, strays: [], answer: resolve };
      const others = this.waiting.get(containerId);
      if (others) {
        others.push(item);
        return;
      }
      const items = [item];
      this.waiting.set(containerId, items);
      void this.work(containerId, items);
    });
  }

  /** Never rejects. */
  private async work(containerId: string, items: Waiting[]): Promise<void> {
    while (items.length > 0) {
      const batch = [...items];
      const seen = await this.signal(containerId, batch);
      const isAway = seen === undefined && this.engine.isAway;
      for (const item of batch) {
        if (isAway) {
          if (Date.now() >= item.giveUpAt) item.answer(true);
          continue;
        }
        const gone = seen === undefined ? undefined : !this.isLeft(item, seen);
        const isLast = Date.now() >= (seen === undefined ? item.giveUpAt : item.until);
        if (gone !== true && !isLast) continue;
        items.splice(items.indexOf(item), 1);
        item.answer(gone === true);
      }
      if (isAway) await sleep(PAUSE_WHILE_AWAY_MS, undefined, { ref: false });
      else if (items.length > 0) await sleep(PAUSE_MS);
    }
    this.waiting.delete(containerId);
  }

  private isLeft(item: Waiting, seen: Seen[]): boolean {
    const left = seen.filter(({ group, tag }) => group === item.group || tag === item.tag);
    item.strays = left.filter(({ group }) => group !== item.group).map(({ pid }) => pid);
    return left.length > 0;
  }

  /** What runs afterwards; undefined where it could not be learnt. */
  private async signal(containerId: string, batch: Waiting[]): Promise<Seen[] | undefined> {
    const targets = batch.flatMap(({ name, group, strays }): SignalTarget[] => [
      ...(group === undefined ? [] : [[name, `-${group}`] as SignalTarget]),
      ...strays.map((pid): SignalTarget => [name, `${pid}`]),
    ]);
    try {
      const signal = new AbortController().signal;
      const { code, stdout } = await runInside(
        this.engine,
        containerId,
        signalCommand(targets),
        signal,
        SCRIPT_MS,
      );
      return code === undefined ? undefined : parse(stdout);
    } catch (error) {
      // A sandbox that does not run has no processes.
      const gone = goneOr(error);
      return gone instanceof AppError && gone.code === 'sandbox_gone' ? [] : undefined;
    }
  }
}

/** Zombies do not count: they only wait for the pause process. */
function parse(stdout: string): Seen[] {
  const tags = new Map<number, string>();
  const seen: Seen[] = [];
  for (const line of stdout.split('\n')) {
    const [, pid, tag] = TAGGED.exec(line) ?? [];
    if (pid !== undefined && tag !== undefined) tags.set(Number(pid), tag);
    const [, id, group, state] = PROCESS.exec(line) ?? [];
    if (id !== undefined && state !== 'Z')
      seen.push({ pid: Number(id), group: Number(group), tag: undefined });
  }
  for (const process of seen) process.tag = tags.get(process.pid);
  return seen;
}

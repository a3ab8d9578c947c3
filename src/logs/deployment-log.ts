import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { LineBudget } from './line-budget.js';
import { type KeptLine, type LogLine, parseKeptLine, terminalSafeJson } from './log-line.js';
import { ProcessLog } from './process-log.js';
import type { QueueRoom } from './queue-room.js';
import { type LogPosition, SegmentFiles } from './segment-files.js';

/** So that many lines become one write. */
const GATHER_MS = 50;
/** What waits to be written, of one deployment. */
const MAX_QUEUED_BYTES = 1024 * 1024;
/** What a line costs beside its text. */
const LINE_BYTES = 200;
const RESTARTED = 'The service was restarted. Processes of before do not run any more.';
/** What one look back gives at most, in characters. */
const MAX_TAIL_CHARS = 2 * 1024 * 1024;

type QueuedLine = Omit<LogLine, 'process'> & { process: ProcessLog | null };

export interface TailQuery {
  /** Most lines. */
  tail: number;
  /** Only lines from then on, milliseconds since 1970. */
  since: number | undefined;
  /** Only of this process. */
  process: number | undefined;
}

export interface LogTailed {
  /** Oldest first. */
  lines: KeptLine[];
  /** True: more of what was asked for is there, but older. */
  hasOlder: boolean;
  /** Number of the newest line; 0 where there is none. */
  newest: number;
}

/**
 * The log of one deployment. Whoever writes never waits and never fails: lines are gathered in memory, within bounds, and
 * written soon; what the bounds or the disk do not let in is counted, and the count is a line of the log.
 */
export class DeploymentLog {
  readonly budget = new LineBudget();
  private readonly files: SegmentFiles;
  private readonly watchers = new Set<() => void>();
  private queue: QueuedLine[] = [];
  private queuedBytes = 0;
  /** Lines that the disk did not take since it last took one. */
  private unwritten = 0;
  /** There are lines of an earlier service, and that is not said yet. */
  private isContinued = false;
  private seq = 0;
  private processes = 0;
  private loading: Promise<void> | undefined;
  private flushing: Promise<void> | undefined;
  /** Aborted when somebody waits for what is gathered. */
  private gathering = new AbortController();
  private removed = false;

  /** @param onFault gets why lines could not be written, once until they can be again */
  constructor(
    private readonly folder: string,
    maxBytes: number,
    private readonly room: QueueRoom,
    private readonly onFault: (error: unknown) => void,
  ) {
    this.files = new SegmentFiles(folder, maxBytes);
  }

  get isRemoved(): boolean {
    return this.removed;
  }

  /** The log of a process that is about to be started. */
  openProcess(): ProcessLog {
    return new ProcessLog(this);
  }

  /** False: there is no room, and it is not written. */
  append(line: QueuedLine): boolean {
    if (this.removed) return true;
    const bytes = costOf(line);
    if (this.queuedBytes + bytes > MAX_QUEUED_BYTES || !this.room.take(bytes)) return false;
    this.queue.push(line);
    this.queuedBytes += bytes;
    this.flushing ??= this.flush();
    return true;
  }

  /** Resolves when all that was appended is on disk, or lost. Never rejects. */
  async flushed(): Promise<void> {
    // What is being written now need not be all of it. What comes meanwhile is not waited for: it may never end.
    for (let round = 0; round < 2; round++) {
      this.gathering.abort();
      await this.flushing;
    }
  }

  /** The newest lines that are wanted. Throws what the disk says. */
  async tail({ tail, since = -Infinity, process }: TailQuery): Promise<LogTailed> {
    await this.flushed();
    await this.load();
    // Of now: what is written meanwhile comes behind it.
    const { end, newestFirst } = this.files;
    const lines: KeptLine[] = [];
    let chars = 0;
    let newest = 0;
    const found = (hasOlder: boolean): LogTailed => ({ lines: lines.toReversed(), hasOlder, newest });
    for (const segment of newestFirst) {
      for (const text of (await this.files.readSegment(segment, end)).toReversed()) {
        const line = parseKeptLine(text);
        if (!line) continue;
        newest = Math.max(newest, line.seq);
        if (Date.parse(line.at) < since) return found(false);
        if (process !== undefined && line.process !== process) continue;
        chars += text.length;
        if (lines.length === tail || chars > MAX_TAIL_CHARS) return found(true);
        lines.push(line);
      }
    }
    return found(false);
  }

  /** Some lines from `from` on; undefined: there are none yet. */
  readOn(from: LogPosition): Promise<{ lines: KeptLine[]; next: LogPosition } | undefined> {
    return this.files.readOn(from);
  }

  /** As of `SegmentFiles`, with the number of the newest line. Throws what the disk says. */
  async positionOf(seq: number): Promise<{ position: LogPosition; newest: number }> {
    await this.flushed();
    await this.load();
    return { position: this.files.positionOf(seq), newest: this.seq };
  }

  /** Calls `watcher`, which must not throw, when there are new lines and when it is removed; until the result is called. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** It is that of a deployment that is gone. */
  close(): void {
    this.removed = true;
  }

  /** For good. Resolves when nothing of it is left; throws what the disk says. */
  async remove(): Promise<void> {
    this.close();
    this.gathering.abort();
    await this.flushing;
    this.room.give(this.queuedBytes);
    [this.queue, this.queuedBytes] = [[], 0];
    await rm(this.folder, { recursive: true, force: true });
    this.tellWatchers();
  }

  /** Never rejects. */
  private async flush(): Promise<void> {
    this.gathering = new AbortController();
    await sleep(GATHER_MS, undefined, { signal: this.gathering.signal }).catch(() => undefined);
    if (!this.removed) await this.writeQueue();
    this.flushing = this.queue.length > 0 && !this.removed ? this.flush() : undefined;
  }

  private async writeQueue(): Promise<void> {
    const queued = this.queue.splice(0);
    const bytes = this.queuedBytes;
    this.queuedBytes = 0;
    try {
      await this.load();
      const lines = [...this.remarks(), ...queued];
      const seq = this.seq + 1;
      const texts = lines.map((line, index) => this.keptText(line, seq + index));
      // Also where that fails: some of these lines may be there, and no number is given twice.
      this.seq += lines.length;
      await this.files.append(texts, { seq, processes: this.processes });
      this.unwritten = 0;
      this.isContinued = false;
    } catch (error) {
      if (this.unwritten === 0) this.onFault(error);
      this.unwritten += queued.length;
    } finally {
      this.room.give(bytes);
    }
    this.tellWatchers();
  }

  /** What has to be said before the next lines. */
  private remarks(): QueuedLine[] {
    const remarks = [];
    if (this.isContinued) remarks.push(RESTARTED);
    if (this.unwritten > 0) remarks.push(`${this.unwritten} lines were lost: they could not be written.`);
    const at = new Date().toISOString();
    return remarks.map((text) => ({ at, process: null, session: null, stream: 'system', text }));
  }

  private keptText({ at, process, session, stream, text }: QueuedLine, seq: number): string {
    const line: KeptLine = { seq, at, process: process && this.numberOf(process), session, stream, text };
    return `${terminalSafeJson(line)}\n`;
  }

  private numberOf(process: ProcessLog): number {
    process.number ??= ++this.processes;
    return process.number;
  }

  /** Many at once do it once; one that failed is tried again. */
  private load(): Promise<void> {
    this.loading ??= this.loadOnce();
    return this.loading;
  }

  private async loadOnce(): Promise<void> {
    try {
      ({ seq: this.seq, processes: this.processes } = await this.files.load());
      this.isContinued = this.seq > 0;
    } catch (error) {
      this.loading = undefined;
      throw error;
    }
  }

  private tellWatchers(): void {
    for (const watcher of this.watchers) watcher();
  }
}

function costOf({ text }: QueuedLine): number {
  return text.length * 2 + LINE_BYTES;
}

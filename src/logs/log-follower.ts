import type { ServerResponse } from 'node:http';
import { SseResponse } from '../events/sse-response.js';
import type { DeploymentLog, LogTailed } from './deployment-log.js';
import { type KeptLine, publicLineOf, terminalSafeJson } from './log-line.js';
import type { LogPosition } from './segment-files.js';

/** What a client follows, and from where on. */
export interface Followed {
  log: DeploymentLog;
  /** Only lines of this process. */
  process: number | undefined;
  /** The `id` of the last line that the client has. */
  lastEventId: string | undefined;
  /** Finds the lines that come first for a client that has none. Rejects when the signal is aborted before its turn. */
  lookBack(signal: AbortSignal): Promise<LogTailed>;
}

/**
 * One client that follows a log. It reads the files as fast as its client reads it, so it holds the lines of one read and
 * no more, however slow its client and however busy the server is; one that the ring overtakes is told so. Lines with an
 * id alone give the client its position also where it has no line to see.
 */
export class LogFollower {
  private readonly response: SseResponse;
  /** Number of the last line that the client has, or did not want; undefined until that is known. */
  private seq: number | undefined;
  /** Behind the last line that was read, and the number that the next one should have. */
  private position: LogPosition = { segment: 0, offset: 0 };
  private expected = 1;
  /** Read, and not yet written to the client. */
  private lines: KeptLine[] = [];
  private pumping: Promise<void> | undefined;
  /** There may be lines that were not read yet. */
  private isDue = true;
  private readonly closed = new AbortController();

  constructor(
    private readonly followed: Followed,
    res: ServerResponse,
    private readonly onFault: (error: unknown) => void,
  ) {
    this.response = new SseResponse(res);
    const unwatch = followed.log.watch(() => {
      this.isDue = true;
      this.pump();
    });
    this.response.onClose(() => {
      unwatch();
      this.closed.abort();
    });
    this.response.onRoom(() => this.pump());
    this.response.begin('');
    this.pumping = this.run(() => this.begin());
  }

  keepAlive(): void {
    this.response.keepAlive(this.idLine);
  }

  end(): void {
    this.response.end();
  }

  private async begin(): Promise<void> {
    const { log, lastEventId } = this.followed;
    const seq = (await this.findKnown(lastEventId)) ?? (await this.findFirst());
    this.position = (await log.positionOf(seq + 1)).position;
    this.seq = seq;
    this.expected = seq + 1;
    this.response.write(`${this.idLine}\n`);
  }

  /** The line that the client has; undefined where it has none, or the log cannot tell what came behind it. */
  private async findKnown(lastEventId: string | undefined): Promise<number | undefined> {
    if (lastEventId === undefined) return undefined;
    const seq = /^\d{1,15}$/.test(lastEventId) ? Number(lastEventId) : NaN;
    const { newest } = await this.followed.log.positionOf(seq + 1);
    if (seq <= newest) return seq;
    this.tell('reset', 'The log has no line of this id. It is told anew.');
    return undefined;
  }

  /** The line before the first one that the client wants. Only its number is kept: the lines may be megabytes. */
  private async findFirst(): Promise<number> {
    const { lines, newest } = await this.followed.lookBack(this.closed.signal);
    return (lines[0]?.seq ?? newest + 1) - 1;
  }

  /** Returns at once. */
  private pump(): void {
    this.pumping ??= this.run();
  }

  /** Never rejects. */
  private async run(begin?: () => Promise<void>): Promise<void> {
    try {
      await begin?.();
      while (this.response.takesMore) {
        const line = this.lines.shift();
        if (line) this.step(line);
        else if (!(await this.readOn())) break;
      }
    } catch (error) {
      if (!this.closed.signal.aborted) this.onFault(error);
      this.response.end();
    } finally {
      this.pumping = undefined;
    }
  }

  private step(line: KeptLine): void {
    // The client has it: it came back in the middle of a segment.
    if (line.seq <= (this.seq ?? 0)) return;
    this.seq = line.seq;
    const { process } = this.followed;
    if (process !== undefined && line.process !== process) return;
    this.response.write(`${this.idLine}event: log\ndata: ${terminalSafeJson(publicLineOf(line))}\n\n`);
  }

  /** False: there is nothing more at present. */
  private async readOn(): Promise<boolean> {
    if (this.followed.log.isRemoved) {
      this.tell('end', 'The deployment was deleted.');
      this.response.end();
      return false;
    }
    if (!this.isDue) return false;
    this.isDue = false;
    const read = await this.followed.log.readOn(this.position);
    if (!read) return this.isDue;
    this.isDue = true;
    this.position = read.next;
    this.lines = read.lines;
    const missed = (read.lines[0]?.seq ?? 0) - this.expected;
    if (missed > 0) this.tell('reset', `${missed} lines are missing here: they have left the log.`);
    this.expected = Math.max(this.expected, (read.lines.at(-1)?.seq ?? 0) + 1);
    return true;
  }

  private tell(type: 'reset' | 'end', message: string): void {
    const data = { type, at: new Date().toISOString(), message };
    this.response.write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /** So that the client knows its position also where it wants few lines. */
  private get idLine(): string {
    return this.seq === undefined ? '' : `id: ${this.seq}\n`;
  }
}

import type { DeploymentLog } from './deployment-log.js';
import { LINES_PER_SECOND } from './line-budget.js';
import { keptBytesOf, type LogStream } from './log-line.js';
import { LineSplitter, type RawLine, textOf } from './line-splitter.js';

/** How often at most it is said that lines were dropped. */
const COUNT_MS = 1000;

/** What one server process leaves in the log of its deployment. Nothing here waits or throws. */
export class ProcessLog {
  /** Given when its first line is written. */
  number: number | undefined;
  private session: string | null = null;
  private dropped = 0;
  private counting: NodeJS.Timeout | undefined;
  private readonly errors = this.splitterOf('stderr');
  private readonly output = this.splitterOf('stdout');

  constructor(private readonly log: DeploymentLog) {}

  started(): void {
    this.say('The process started.');
  }

  stderr(chunk: Buffer): void {
    this.errors.push(chunk);
  }

  /** Of a server that speaks elsewhere. */
  stdout(chunk: Buffer): void {
    this.output.push(chunk);
  }

  /** A line that a server wrote among its messages. */
  stdoutLine(line: Buffer): void {
    this.output.push(line);
    this.output.finish();
  }

  /** From now on it serves this session, whose public handle this is. */
  serve(session: string): void {
    this.session = session;
    this.say('The process serves this session.');
  }

  /** The last call. `code` undefined: nobody knows. `isEnded`: we ended it. */
  exited(code: number | undefined, isEnded: boolean): void {
    this.errors.finish();
    this.output.finish();
    clearTimeout(this.counting);
    this.count();
    const how = code === undefined ? '' : ` with code ${code}`;
    if (isEnded) this.say(`The process was ended and exited${how}.`);
    else if (code === undefined) this.say('The process is gone, with its sandbox or the container engine.');
    else this.say(`The process exited${how}.`);
  }

  private splitterOf(stream: LogStream): LineSplitter {
    return new LineSplitter({
      take: (line) => this.take(stream, line),
      skipped: (lines) => this.drop(lines),
    });
  }

  private take(stream: LogStream, line: RawLine): boolean {
    const now = Date.now();
    const text = textOf(line);
    if (this.log.budget.take(keptBytesOf(text), now) && this.append(stream, text, now)) return true;
    this.drop(1);
    return false;
  }

  private drop(lines: number): void {
    this.dropped += lines;
    this.counting ??= setTimeout(() => this.count(), COUNT_MS).unref();
  }

  /** Says how many lines are missing here. */
  private count(): void {
    this.counting = undefined;
    const { dropped } = this;
    if (dropped === 0) return;
    const lines = dropped === 1 ? '1 line was' : `${dropped} lines were`;
    const isSaid = this.say(
      `${lines} dropped: the log takes ${LINES_PER_SECOND} lines a second of a deployment, long ones count for more.`,
    );
    if (isSaid) this.dropped = 0;
    // No room for that either.
    else this.counting = setTimeout(() => this.count(), COUNT_MS).unref();
  }

  private say(text: string): boolean {
    return this.append('system', text, Date.now());
  }

  private append(stream: LogStream, text: string, now: number): boolean {
    const { session } = this;
    return this.log.append({ at: new Date(now).toISOString(), process: this, session, stream, text });
  }
}

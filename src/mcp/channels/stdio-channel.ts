import { isUtf8 } from 'node:buffer';
import { LineDecoder, LineTooLongError } from '../framing/line-decoder.js';
import { type Envelope, parseBody } from '../jsonrpc/envelope.js';
import { Channel, type ChannelClosed, type ChannelHandlers } from './channel.js';
import { withLastWords } from './last-words.js';
import { LogTail } from './log-tail.js';
import type { ServerProcess } from './server-process.js';

/** Lines on stdout that are no message are a common fault of real servers; so many in a row are not. */
const MAX_GARBAGE_LINES = 1000;

/** A conversation over a process's stdin and stdout: one JSON-RPC message a line. */
export class StdioChannel extends Channel {
  private readonly log = new LogTail();
  private readonly decoder: LineDecoder;
  private handlers: ChannelHandlers | undefined;
  /** Lines, or messages of a batch, that wait for `open` or behind a message whose delivery is not finished. */
  private waiting: (Buffer | Envelope)[] = [];
  private delivering = false;
  private garbageLines = 0;
  private drained: PromiseWithResolvers | undefined;
  private closed: ChannelClosed | undefined;
  /** Set when nothing more will come; the channel closes once what was said before is delivered. */
  private last: { cause: ChannelClosed['cause']; message: string } | undefined;
  private ending: Promise<void> | undefined;

  /** @param onGarbage gets each line on stdout that is no message */
  constructor(
    private readonly process: ServerProcess,
    maxMessageBytes: number,
    private readonly onGarbage: (line: Buffer) => void = () => undefined,
  ) {
    super();
    this.decoder = new LineDecoder(maxMessageBytes, (line) => this.waiting.push(line));
    process.attach({
      stdout: (chunk) => this.receive(chunk),
      stderr: (chunk) => this.log.push(chunk),
      drain: () => this.releaseSenders(),
      exit: ({ code }) => {
        // Nobody knows how it ended where its sandbox, or the engine, went with it.
        if (code === undefined) this.finishLater('stopped', 'The server is gone');
        else this.finishLater('exited', `The server exited with code ${code}`);
      },
    });
  }

  get whyClosed(): ChannelClosed | undefined {
    return this.closed;
  }

  get lastWords(): string {
    return this.log.toString();
  }

  open(handlers: ChannelHandlers): void {
    this.handlers = handlers;
    if (this.closed) {
      handlers.closed(this.closed);
      return;
    }
    this.deliver();
    if (!this.delivering) this.process.resume();
  }

  send(text: string): Promise<void> | undefined {
    if (this.closed) throw new Error(this.closed.message);
    return this.drained ? this.sendLater(text) : this.write(text);
  }

  /** Behind what the server has not read yet. Whoever waits for a channel that closes is told by its `closed`. */
  private async sendLater(text: string): Promise<void> {
    while (this.drained) await this.drained.promise;
    if (!this.closed) await this.write(text);
  }

  private write(text: string): Promise<void> | undefined {
    if (this.process.write(`${text}\n`)) return undefined;
    this.drained = promiseWithResolvers();
    return this.drained.promise;
  }

  close(fault?: string): Promise<void> {
    if (fault === undefined) this.finish('ended', 'The session has ended');
    else this.finish('violated', fault);
    return this.end();
  }

  private end(): Promise<void> {
    this.ending ??= this.process.end();
    return this.ending;
  }

  private receive(chunk: Buffer): void {
    if (this.last || this.closed) return;
    try {
      this.decoder.push(chunk);
    } catch (error) {
      if (!(error instanceof LineTooLongError)) throw error;
      this.finishLater('violated', `The server wrote a message of more than ${error.limitBytes} bytes`);
      void this.end();
      return;
    }
    this.deliver();
  }

  /** Hands over the waiting lines in order; while one is under way, the process is not read. */
  private deliver(): void {
    if (!this.handlers) {
      if (this.last) this.finish(this.last.cause, this.last.message);
      else if (this.waiting.length > 0) this.process.pause();
      return;
    }
    while (!this.delivering && !this.closed) {
      const next = this.waiting.shift();
      if (next === undefined) {
        if (this.last) this.finish(this.last.cause, this.last.message);
        return;
      }
      const [message, ...others] = Buffer.isBuffer(next) ? this.parse(next) : [next];
      this.waiting.unshift(...others);
      const delivery = message && this.handOver(message, this.handlers);
      if (!delivery) continue;
      this.delivering = true;
      this.process.pause();
      void this.resumeAfter(delivery);
    }
  }

  /** What goes wrong with one conversation must not reach the others. */
  private handOver(message: Envelope, handlers: ChannelHandlers): Promise<void> | undefined {
    try {
      return handlers.message(message);
    } catch (error) {
      void this.close(`A message of the server could not be handled: ${String(error)}`);
      return undefined;
    }
  }

  private async resumeAfter(delivery: Promise<void>): Promise<void> {
    try {
      await delivery;
    } finally {
      this.delivering = false;
      this.deliver();
      // Not before: each line that waits would let a chunk of new ones in.
      if (!this.delivering) this.process.resume();
    }
  }

  private finishLater(cause: ChannelClosed['cause'], message: string): void {
    this.last ??= { cause, message };
    this.deliver();
  }

  /** Servers of revision 2025-03-26 may batch. None: it is no message. */
  private parse(line: Buffer): Envelope[] {
    try {
      if (!isUtf8(line)) throw new SyntaxError('not UTF-8');
      const { messages } = parseBody(line.toString('utf8'));
      this.garbageLines = 0;
      return messages;
    } catch {
      this.log.push(Buffer.concat([Buffer.from('stdout: '), line.subarray(0, 200), Buffer.from('\n')]));
      this.onGarbage(line);
      this.garbageLines++;
      if (this.garbageLines > MAX_GARBAGE_LINES) {
        void this.close(
          `The server wrote more than ${MAX_GARBAGE_LINES} lines in a row to stdout that are not JSON-RPC`,
        );
      }
      return [];
    }
  }

  private finish(cause: ChannelClosed['cause'], message: string): void {
    if (this.closed) return;
    this.closed = { cause, message: cause === 'ended' ? message : withLastWords(message, this.lastWords) };
    this.waiting = [];
    this.releaseSenders();
    // Also an exited process is ended: its children may live. What it still says must not hold it.
    this.process.resume();
    void this.end();
    this.handlers?.closed(this.closed);
  }

  private releaseSenders(): void {
    this.drained?.resolve();
    this.drained = undefined;
  }
}

interface PromiseWithResolvers {
  promise: Promise<void>;
  resolve: () => void;
}

function promiseWithResolvers(): PromiseWithResolvers {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

import type { Duplex } from 'node:stream';
import type { ProcessExit, ProcessHandlers, SandboxProcess } from '../sandbox-runtime.js';
import { StreamDemuxer } from './stream-demuxer.js';

const NEWLINE = 0x0a;
const GRACE_MS = 2_000;
const KILL_SANDBOX_MS = 10_000;
/** For what a sandbox wrote before it died. */
const LAST_WORDS_MS = 500;
/** A pid is short; a first line beyond this is not from the launcher. */
const PID_LINE_BYTES = 32;

/** What a process needs of the sandbox that it is in. */
export interface ProcessHost {
  /** The exit code, once the stream has ended. Never rejects. */
  exitCode(): Promise<number | undefined>;
  /**
   * Signal all that belongs to the process and check for `waitMs` whether anything of it is left. False: something is.
   * Never rejects.
   */
  signal(signal: 'TERM' | 'KILL', group: number | undefined, waitMs: number): Promise<boolean>;
  /** The last resort: a sandbox in which a process survives SIGKILL is beyond repair. Never rejects. */
  killSandbox(): Promise<void>;
}

type Held = { channel: 'stdout' | 'stderr'; chunk: Buffer } | { exit: ProcessExit };

/** A server process behind the stream of its exec. The launcher's pid line is taken off stderr. */
export class ExecProcess implements SandboxProcess {
  private handlers: ProcessHandlers | undefined;
  /** What came before `attach`; bounded, because the stream is paused as soon as there is something. */
  private held: Held[] = [];
  private pidLine: Buffer | undefined = Buffer.alloc(0);
  private group: number | undefined;
  private paused = false;
  private exited = false;
  private ending: Promise<void> | undefined;
  /** Settles after `exit`; never rejects. */
  readonly gone: Promise<void>;

  constructor(
    private readonly stream: Duplex,
    private readonly host: ProcessHost,
  ) {
    const demuxer = new StreamDemuxer((channel, slice) => this.receive(channel, slice));
    stream.on('data', (chunk: Buffer) => {
      try {
        demuxer.push(chunk);
      } catch (error) {
        stream.destroy(error as Error);
      }
    });
    stream.on('drain', () => {
      if (!this.exited) this.handlers?.drain();
    });
    // Whatever broke the stream, its end follows, and that is what counts.
    stream.on('error', () => undefined);
    this.gone = new Promise((resolve) => {
      stream.once('close', () => resolve(this.finish()));
    });
  }

  attach(handlers: ProcessHandlers): void {
    if (this.handlers !== undefined) throw new Error('attached already');
    this.handlers = handlers;
    const held = this.held;
    this.held = [];
    for (const item of held) {
      if ('exit' in item) handlers.exit(item.exit);
      else handlers[item.channel](item.chunk);
    }
    if (!this.paused) this.stream.resume();
  }

  write(data: string | Buffer): boolean {
    return this.exited || !this.stream.writable ? true : this.stream.write(data);
  }

  pause(): void {
    this.paused = true;
    if (this.ending === undefined) this.stream.pause();
  }

  resume(): void {
    this.paused = false;
    if (this.handlers !== undefined) this.stream.resume();
  }

  end(graceMs = GRACE_MS): Promise<void> {
    this.ending ??= this.endWithin(graceMs);
    return this.ending;
  }

  /** Its sandbox is dead. The engine does not always end the streams of what ran in it. */
  lose(): void {
    setTimeout(() => this.stream.destroy(), LAST_WORDS_MS).unref();
  }

  private async endWithin(graceMs: number): Promise<void> {
    this.stream.end();
    // Nobody waits for its output any more, but it may wait for somebody to read it.
    this.stream.resume();
    if (!(await this.isGoneWithin(graceMs))) {
      // Not waited for: in a sandbox in trouble it comes late or never, and SIGKILL is next.
      void this.host.signal('TERM', this.group, 0);
      await this.isGoneWithin(graceMs);
    }
    // A server may be gone and its children not.
    if (!(await this.host.signal('KILL', this.group, graceMs))) {
      // The engine may take minutes to say that it did.
      await Promise.race([this.host.killSandbox(), this.isGoneWithin(KILL_SANDBOX_MS)]);
    }
    // The stream of a process that is gone ends by itself, unless the engine has lost track of it.
    if (!(await this.isGoneWithin(graceMs))) this.stream.destroy();
    await this.gone;
  }

  private async isGoneWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), ms);
    });
    try {
      return await Promise.race([this.gone.then(() => true), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private receive(channel: 'stdout' | 'stderr', slice: Buffer): void {
    const chunk =
      channel === 'stderr' && this.pidLine !== undefined ? this.takePid(this.pidLine, slice) : slice;
    if (chunk.length === 0) return;
    if (this.ending !== undefined && (this.paused || this.handlers === undefined)) return;
    if (this.handlers !== undefined) this.handlers[channel](chunk);
    else {
      this.held.push({ channel, chunk });
      this.stream.pause();
    }
  }

  /** What of `slice` is not the launcher's line. */
  private takePid(before: Buffer, slice: Buffer): Buffer {
    const text = Buffer.concat([before, slice]);
    const end = text.indexOf(NEWLINE);
    if (end < 0 && text.length < PID_LINE_BYTES) {
      this.pidLine = text;
      return Buffer.alloc(0);
    }
    this.pidLine = undefined;
    const pid = end < 0 ? '' : text.subarray(0, end).toString('latin1');
    if (!/^[1-9]\d*$/.test(pid)) return text;
    this.group = Number(pid);
    return text.subarray(end + 1);
  }

  private async finish(): Promise<void> {
    const exit = { code: await this.host.exitCode() };
    this.exited = true;
    if (this.handlers === undefined) this.held.push({ exit });
    else this.handlers.exit(exit);
  }
}

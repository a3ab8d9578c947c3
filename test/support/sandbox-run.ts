import { once } from 'node:events';
import { EventEmitter } from 'node:events';
import type { ProcessExit, SandboxProcess } from '../../src/containers/sandbox-runtime.js';

/** A process in a sandbox whose output is gathered. */
export class SandboxRun {
  stderr = '';
  exits = 0;
  readonly exited: Promise<ProcessExit>;
  private readonly chunks: Buffer[] = [];
  private readonly news = new EventEmitter().setMaxListeners(0);

  constructor(readonly process: SandboxProcess) {
    this.exited = new Promise((resolve) => {
      process.attach({
        stdout: (chunk) => {
          this.chunks.push(chunk);
          this.news.emit('news');
        },
        stderr: (chunk) => {
          this.stderr += chunk.toString();
          this.news.emit('news');
        },
        drain: () => this.news.emit('drain'),
        exit: (exit) => {
          this.exits += 1;
          this.news.emit('news');
          resolve(exit);
        },
      });
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  get stdout(): string {
    return this.bytes.toString();
  }

  /** Write all of it, as fast as the process takes it. */
  async feed(data: Buffer): Promise<void> {
    const size = 64 * 1024;
    for (let at = 0; at < data.length; at += size) {
      if (!this.process.write(data.subarray(at, at + size))) await once(this.news, 'drain');
    }
  }

  /** Wait until the output is as wanted; throws when the process ends before. */
  async until(isWanted: (run: this) => boolean): Promise<void> {
    while (!isWanted(this)) {
      if (this.exits > 0) throw new Error(`the process ended; stderr: ${this.stderr}`);
      await once(this.news, 'news');
    }
  }
}

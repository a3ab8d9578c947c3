import type { ServerResponse } from 'node:http';

export const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
};

const RETRY_MS = 2000;
/** A client that takes nothing for so long is treated as gone. */
const STALL_MS = 30_000;

/** The answer of a stream of events. Whoever writes asks `takesMore` first, so nothing piles up for a slow client. */
export class SseResponse {
  constructor(private readonly res: ServerResponse) {
    res.writeHead(200, STREAM_HEADERS);
    // The socket's own timer, which knows a client that reads slowly from one that does not read.
    res.on('timeout', () => res.destroy());
  }

  /** The first lines of a stream; `idLine` where the client is to know its position before the first event. */
  begin(idLine: string): void {
    this.write(`retry: ${RETRY_MS}\n${idLine}\n`);
  }

  /** Calls `goOn` each time the client takes more after it did not. */
  onRoom(goOn: () => void): void {
    this.res.on('drain', () => {
      this.res.setTimeout(0);
      goOn();
    });
  }

  onClose(listener: () => void): void {
    this.res.on('close', listener);
  }

  get takesMore(): boolean {
    return !this.res.destroyed && !this.res.writableEnded && !this.res.writableNeedDrain;
  }

  /** So that no intermediary cuts a silent stream. */
  keepAlive(idLine: string): void {
    if (this.takesMore) this.write(`: keep-alive\n${idLine}\n`);
  }

  /** Nothing happens once it has ended or its client is gone. */
  write(text: string): void {
    // It would be an error that nobody listens for, and that ends the process.
    if (this.res.destroyed || this.res.writableEnded) return;
    if (!this.res.write(text)) this.res.setTimeout(STALL_MS);
  }

  end(): void {
    this.res.end();
  }
}

import type { ServerResponse } from 'node:http';
import { untilTaken } from './back-pressure.js';
import { SAFE_HEADERS } from './http-reply.js';

const KEEP_ALIVE_MS = 15_000;

/** One timer for all connections: each gets a comment every 15 s, so that no intermediary cuts a silent stream. */
const connections = new Set<SseConnection>();
setInterval(() => {
  for (const connection of connections) connection.comment('keep-alive');
}, KEEP_ALIVE_MS).unref();

/** An open text/event-stream answer. */
export class SseConnection {
  /** True once the client is gone or `end` was called. */
  closed = false;
  private drain: Promise<void> | undefined;

  constructor(
    private readonly res: ServerResponse,
    headers: Record<string, string> = {},
  ) {
    res.writeHead(200, {
      ...SAFE_HEADERS,
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      ...headers,
    });
    res.flushHeaders();
    res.on('close', () => this.close());
    connections.add(this);
  }

  /** Write one event. A promise asks the caller to wait until the client has read it; it never rejects. */
  event(id: string | undefined, data: string, name = 'message'): Promise<void> | undefined {
    const head = data === '' ? '' : `event: ${name}\n`;
    return this.write(`${head}${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`);
  }

  comment(text: string): void {
    // A client that does not read gets no more of them than fit.
    if (!this.res.writableNeedDrain) void this.write(`: ${text}\n\n`);
  }

  end(): void {
    if (this.closed) return;
    this.res.end();
    this.close();
  }

  private write(text: string): Promise<void> | undefined {
    if (this.closed || this.res.write(text)) return undefined;
    this.drain ??= this.drained();
    return this.drain;
  }

  private async drained(): Promise<void> {
    await untilTaken(this.res);
    this.drain = undefined;
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    connections.delete(this);
  }
}

import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';

interface Options {
  headers?: Record<string, string>;
  protocols?: string[];
}

/** A client of the WebSocket transport with nothing between the test and the frames. */
export class RawWebSocketClient {
  readonly messages: Record<string, unknown>[] = [];
  closed: { code: number; reason: string } | undefined;
  private waiting: (() => void)[] = [];

  private constructor(readonly ws: WebSocket) {
    ws.on('message', (data: Buffer) =>
      this.change(() => this.messages.push(JSON.parse(data.toString()) as Record<string, unknown>)),
    );
    ws.on('close', (code, reason) =>
      this.change(() => {
        this.closed = { code, reason: reason.toString() };
      }),
    );
    ws.on('error', () => undefined);
  }

  /** Resolves when it is open; rejects with the status where it is refused. */
  static async connect(url: string, options: Options = {}): Promise<RawWebSocketClient> {
    const { headers = {}, protocols = ['mcp'] } = options;
    const ws = new WebSocket(url, protocols, { headers, perMessageDeflate: true });
    const client = new RawWebSocketClient(ws);
    await new Promise<void>((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('unexpected-response', (_req, res: IncomingMessage) => {
        res.resume();
        reject(new Error(`HTTP ${res.statusCode}`));
      });
      ws.once('error', reject);
    });
    return client;
  }

  send(message: object | string): void {
    this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Send and wait until so many messages have come in all. */
  async ask(message: object | string, count: number): Promise<Record<string, unknown>[]> {
    this.send(message);
    await this.until(() => this.messages.length >= count);
    return this.messages;
  }

  async until(check: () => boolean): Promise<void> {
    while (!check()) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  /** The code and the reason it was closed with. */
  async end(): Promise<{ code: number; reason: string } | undefined> {
    await this.until(() => this.closed !== undefined);
    return this.closed;
  }

  private change(apply: () => void): void {
    apply();
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

import { request } from 'node:http';
import { Exchange } from './http-exchange.js';

type Headers = Record<string, string | undefined>;

/** A client of the HTTP+SSE transport with nothing between the test and the wire. */
export class RawSseClient {
  private constructor(
    readonly port: number,
    readonly stream: Exchange,
    private readonly headers: Headers,
  ) {}

  /** Resolves when the server has told where to post. */
  static async connect(port: number, headers: Headers = {}): Promise<RawSseClient> {
    const stream = await send(port, 'GET', '/sse', { accept: 'text/event-stream', ...headers });
    const client = new RawSseClient(port, stream, headers);
    await stream.until(() => stream.ended || stream.events.length > 0);
    return client;
  }

  /** What the first event says. */
  get endpoint(): string {
    return this.stream.events[0]?.data ?? '';
  }

  /** The messages of the server. */
  get messages(): Record<string, unknown>[] {
    return this.stream.events
      .filter(({ event }) => event === 'message')
      .map(({ data }) => JSON.parse(data ?? '') as Record<string, unknown>);
  }

  /** POST to where the server said, or to another path. */
  post(message: object | string | Buffer, headers: Headers = {}, path?: string): Promise<Exchange> {
    const body = typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message);
    return send(
      this.port,
      'POST',
      path ?? `/${this.endpoint}`,
      { 'content-type': 'application/json', ...this.headers, ...headers },
      body,
    );
  }

  /** POST and wait until so many messages have come in all. */
  async ask(message: object, count: number): Promise<Record<string, unknown>[]> {
    await this.post(message);
    await this.until(count);
    return this.messages;
  }

  async until(count: number): Promise<void> {
    await this.stream.until(() => this.stream.ended || this.messages.length >= count);
  }

  leave(): void {
    this.stream.leave();
  }
}

/** Resolves with the head of the answer. */
export function send(
  port: number,
  method: string,
  path: string,
  headers: Headers = {},
  body?: string | Buffer,
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const sent = Object.entries(headers).filter(
      (header): header is [string, string] => header[1] !== undefined,
    );
    const req = request({
      port,
      host: '127.0.0.1',
      method,
      path,
      agent: false,
      headers: Object.fromEntries(sent),
    });
    req.on('response', (res) => resolve(new Exchange(res)));
    req.on('error', reject);
    req.end(body);
  });
}

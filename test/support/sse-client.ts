import { request } from 'node:http';
import { Exchange } from './http-exchange.js';

type Headers = Record<string, string | undefined>;

/** A client of the HTTP+SSE transport with nothing between the test and the wire. */
export class RawSseClient {
  private readonly heard: Record<string, unknown>[] = [];
  /** Up to here the stream was read. */
  private read = 0;

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

  /** The messages of the server. Each part of the stream is looked at once, for it may be long. */
  get messages(): Record<string, unknown>[] {
    if (this.stream.chars === this.read) return this.heard;
    const { text } = this.stream;
    for (let end = text.indexOf('\n\n', this.read); end >= 0; end = text.indexOf('\n\n', this.read)) {
      const [, data] = /^event: message\ndata: (.*)$/.exec(text.slice(this.read, end)) ?? [];
      if (data !== undefined) this.heard.push(JSON.parse(data) as Record<string, unknown>);
      this.read = end + 2;
    }
    return this.heard;
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

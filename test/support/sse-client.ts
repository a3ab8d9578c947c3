import { Agent, type IncomingMessage, request } from 'node:http';
import { Exchange } from './http-exchange.js';

type Headers = Record<string, string | undefined>;

/** A client of the HTTP+SSE transport with nothing between the test and the wire. */
export class RawSseClient {
  /** The messages of the server. */
  readonly messages: Record<string, unknown>[] = [];
  /** What the first event says. */
  endpoint = '';
  /** The event that is coming in. */
  private parts: string[] = [];
  private readonly agent = new Agent({ keepAlive: true });

  private constructor(
    readonly port: number,
    readonly stream: Exchange,
    private readonly headers: Headers,
    private readonly base: string,
  ) {}

  /** Resolves when the server has told where to post. `base`: the path above the endpoints. */
  static async connect(port: number, headers: Headers = {}, base = ''): Promise<RawSseClient> {
    const res = await answerTo(port, 'GET', `${base}/sse`, { accept: 'text/event-stream', ...headers });
    const stream = new Exchange(res);
    const client = new RawSseClient(port, stream, headers, base);
    // Each piece is looked at once, for a stream may be long. Before those who wait for the stream are told of it.
    res.prependListener('data', (chunk: string) => client.hear(chunk));
    await stream.until(() => stream.ended || client.endpoint !== '');
    return client;
  }

  /** POST to where the server said, or to another path. */
  post(message: object | string | Buffer, headers: Headers = {}, path?: string): Promise<Exchange> {
    const body = typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message);
    return send(
      this.port,
      'POST',
      path ?? `${this.base}/${this.endpoint}`,
      { 'content-type': 'application/json', ...this.headers, ...headers },
      body,
      this.agent,
    );
  }

  /** POST a message that must be accepted. */
  async send(message: object): Promise<void> {
    const { status, text } = await (await this.post(message)).whole();
    if (status !== 202) throw new Error(`The server answered ${status}: ${text}`);
  }

  /** POST and wait until so many messages have come in all. */
  async ask(message: object, count: number): Promise<Record<string, unknown>[]> {
    await this.send(message);
    await this.until(count);
    return this.messages;
  }

  async until(count: number): Promise<void> {
    await this.stream.until(() => this.stream.ended || this.messages.length >= count);
  }

  leave(): void {
    this.agent.destroy();
    this.stream.leave();
  }

  private hear(chunk: string): void {
    // An event ends at an empty line, which may itself be cut in half.
    if (!chunk.includes('\n')) {
      this.parts.push(chunk);
      return;
    }
    const blocks = (this.parts.join('') + chunk).split('\n\n');
    this.parts = [blocks.pop() ?? ''];
    for (const block of blocks) {
      const [, event, data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      if (event === 'endpoint') this.endpoint = data;
      if (event === 'message') this.messages.push(JSON.parse(data) as Record<string, unknown>);
    }
  }
}

/** Resolves with the head of the answer. */
export async function send(...ask: Parameters<typeof answerTo>): Promise<Exchange> {
  return new Exchange(await answerTo(...ask));
}

function answerTo(
  port: number,
  method: string,
  path: string,
  headers: Headers = {},
  body?: string | Buffer,
  agent?: Agent,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = Object.entries(headers).filter(
      (header): header is [string, string] => header[1] !== undefined,
    );
    const req = request({
      port,
      host: '127.0.0.1',
      method,
      path,
      agent: agent ?? false,
      headers: Object.fromEntries(sent),
    });
    req.on('response', resolve);
    req.on('error', reject);
    req.end(body);
  });
}

import { type Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { Readable } from 'node:stream';

export interface Ask {
  method?: string;
  /** A header set to undefined is not sent. */
  headers?: Record<string, string | undefined>;
  body?: string | Buffer | Readable;
  agent?: Agent;
}

export interface SseEvent {
  id?: string;
  event?: string;
  data?: string;
}

/** An answer as it comes in, of `node:http`: nothing is retried, followed or hidden. */
export class Exchange {
  text = '';
  /** How much of the body has come, for those who wait for a lot: asking `text` copies all of it. */
  chars = 0;
  ended = false;
  /** True when the connection broke before the answer was whole. */
  broken = false;
  private waiting: (() => void)[] = [];

  constructor(private readonly res: IncomingMessage) {
    res.setEncoding('utf8');
    res.on('data', (chunk: string) =>
      this.change(() => {
        this.text += chunk;
        this.chars += chunk.length;
      }),
    );
    res.on('error', () => undefined);
    res.on('close', () =>
      this.change(() => {
        this.ended = true;
        this.broken = !res.complete;
      }),
    );
  }

  get status(): number {
    return this.res.statusCode ?? 0;
  }

  get headers(): IncomingHttpHeaders {
    return this.res.headers;
  }

  get type(): string | undefined {
    return this.headers['content-type'];
  }

  get json(): unknown {
    return JSON.parse(this.text);
  }

  get events(): SseEvent[] {
    const blocks = this.text.split('\n\n').slice(0, -1);
    return blocks.filter((block) => !block.startsWith(':')).map(parseEvent);
  }

  /** What the events with data say. */
  get messages(): Record<string, unknown>[] {
    return this.events.flatMap(({ data }) => (data ? [JSON.parse(data) as Record<string, unknown>] : []));
  }

  async until(check: () => boolean): Promise<this> {
    while (!check()) await new Promise<void>((resolve) => this.waiting.push(resolve));
    return this;
  }

  whole(): Promise<this> {
    return this.until(() => this.ended);
  }

  /** Stop and go on reading from the connection. */
  pause(): void {
    this.res.pause();
  }

  resume(): void {
    this.res.resume();
  }

  leave(): void {
    this.res.destroy();
  }

  private change(apply: () => void): void {
    apply();
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

/** Resolves with the head of the answer. */
export function exchange(
  port: number,
  { method = 'POST', headers = {}, body, agent }: Ask,
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const all = {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...headers,
    };
    const sent = Object.entries(all).filter((header): header is [string, string] => header[1] !== undefined);
    const req = request({
      port,
      host: '127.0.0.1',
      method,
      path: '/',
      agent: agent ?? false,
      headers: Object.fromEntries(sent),
    });
    req.on('response', (res) => resolve(new Exchange(res)));
    req.on('error', reject);
    if (body instanceof Readable) body.pipe(req);
    else req.end(body);
  });
}

function parseEvent(block: string): SseEvent {
  const event: SseEvent = {};
  for (const line of block.split('\n')) {
    const [, field, value] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
    if (field !== undefined && value !== undefined) event[field as keyof SseEvent] = value;
  }
  return event;
}

import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AppError } from '../../src/errors/app-error.js';
import { EventLog } from '../../src/events/event-log.js';
import { EventStreams } from '../../src/events/event-streams.js';
import { type Ask, type Exchange, exchange, type SseEvent } from './http-exchange.js';

/** Event streams on a port of their own. `x-tenant` says who asks, `x-deployment` what the query would. */
export class EventsFixture {
  readonly log = new EventLog();
  readonly streams = new EventStreams(this.log);
  readonly sockets: Socket[] = [];
  private happened = 0;
  private readonly server: Server;

  constructor() {
    this.streams.onModuleInit();
    this.server = createServer((req, res) => {
      try {
        const { 'x-tenant': tenant = 'tn_a', 'x-deployment': deployment } = req.headers;
        this.streams.serve(
          String(tenant),
          req,
          res,
          deployment === undefined ? undefined : String(deployment),
        );
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        res.writeHead(error.status, { 'retry-after': String(error.retryAfterSeconds ?? 0) }).end(error.code);
      }
    });
    this.server.on('connection', (socket) => this.sockets.push(socket));
  }

  static async start(): Promise<EventsFixture> {
    const fixture = new EventsFixture();
    await new Promise<void>((resolve) => fixture.server.listen(0, '127.0.0.1', resolve));
    return fixture;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Resolves when the stream has begun, or the refusal is here. */
  async follow(headers: Ask['headers'] = {}, method = 'GET'): Promise<Exchange> {
    const answer = await exchange(this.port, { method, headers });
    return answer.until(() => answer.ended || answer.text.includes('\n\n'));
  }

  /** So many events, whose messages are numbered from 1 over the whole test. */
  happen(count = 1, { tenant = 'tn_a', deploymentId = 'dp_a', padding = '' } = {}): void {
    for (let n = 0; n < count; n++) {
      this.happened += 1;
      const data = { from: 'starting', to: 'running', code: 'ready', message: `${this.happened}${padding}` };
      this.log.append(tenant, { type: 'status', deploymentId, at: 0, data });
    }
  }

  open(tenant = 'tn_a'): number {
    return this.log.ringOf(tenant).watched;
  }

  async close(): Promise<void> {
    this.streams.beforeApplicationShutdown();
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }
}

/** The events of a stream, without the lines that only give a position. */
export function eventsIn(stream: Exchange): SseEvent[] {
  return stream.events.filter(({ data }) => data !== undefined);
}

export function messagesIn(stream: Exchange): unknown[] {
  return stream.messages.map(({ message }) => message);
}

/** The position that the client would resume from. */
export function lastIdIn(stream: Exchange): string {
  return (
    stream.text
      .match(/^id: .*$/gm)
      ?.at(-1)
      ?.slice(4) ?? ''
  );
}

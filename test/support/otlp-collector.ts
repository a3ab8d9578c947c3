import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

interface Value {
  stringValue?: string;
  intValue?: number;
  boolValue?: boolean;
}

/** A span as OTLP has it in JSON; ids in hex. */
export interface CollectedSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  traceState?: string;
  name: string;
  kind: number;
  /** Decimal: nanoseconds since 1970. */
  startTimeUnixNano: string;
  attributes: { key: string; value: Value }[];
  status: { code?: number };
}

interface TraceExport {
  resourceSpans: {
    resource: { attributes: { key: string; value: Value }[] };
    scopeSpans: { spans: CollectedSpan[] }[];
  }[];
}

/** An OpenTelemetry collector on loopback that keeps what it gets, as OTLP over HTTP in JSON. */
export class OtlpCollector {
  /** Everything that came, headers and bodies, as text. */
  readonly received: string[] = [];
  readonly exports: TraceExport[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<OtlpCollector> {
    const server = createServer();
    const collector = new OtlpCollector(server);
    server.on('request', (req, res) => void collector.take(req, res));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return collector;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get spans(): CollectedSpan[] {
    return this.exports.flatMap(({ resourceSpans }) =>
      resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    );
  }

  private async take(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const body = await text(req);
    this.received.push(JSON.stringify(req.headers), body);
    const isTraces = req.method === 'POST' && req.url === '/v1/traces';
    if (isTraces) this.exports.push(JSON.parse(body) as TraceExport);
    res.writeHead(isTraces ? 200 : 404, { 'content-type': 'application/json' }).end('{}');
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

/** What a span says of itself, by name. */
export function attributesOf({ attributes }: CollectedSpan): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { RawClient } from './client-raw.js';
import { tokenOf } from './client.js';
import { fixtureImage } from './fixture-image.js';
import { type CollectedSpan, OtlpCollector } from './otlp-collector.js';
import { PrometheusText } from './prometheus-text.js';
import { type Deployment, Service } from './service.js';

export const METRICS_KEY = 'a-key-for-the-scraper';
export const ARGUMENT_SECRET = 'secret-in-an-argument';
const ENV_SECRET = 'secret-of-the-environment';
const COOKIE_SECRET = 'secret-in-a-cookie';
const SPAN_MS = 30_000;
const POLL_MS = 50;

/** A client's trace, as its header says it. */
export interface ClientTrace {
  traceId: string;
  spanId: string;
  traceparent: string;
}

export function newTrace(): ClientTrace {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
}

/** A service that is scraped and traced, with one deployment of the fixture server, and secrets in every place for some. */
export class ObservedGround {
  /** Nobody but their client may learn them. */
  readonly sessionIds: string[] = [];

  private constructor(
    readonly collector: OtlpCollector,
    readonly service: Service,
    readonly deployment: Deployment & { accessToken: string },
  ) {}

  static async start(): Promise<ObservedGround> {
    const collector = await OtlpCollector.start();
    const service = await Service.start({
      // What is counted must be what the test sends.
      pauses: false,
      env: {
        LOG_LEVEL: 'debug',
        METRICS_KEY,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_BSP_SCHEDULE_DELAY: '100',
      },
    });
    const image = await fixtureImage();
    const env = { FIXTURE_SECRET: ENV_SECRET };
    return new ObservedGround(collector, service, await service.deploy({ image, env, warmProcesses: 0 }));
  }

  get secrets(): string[] {
    const { service, deployment, sessionIds } = this;
    const known = [METRICS_KEY, ENV_SECRET, ARGUMENT_SECRET, COOKIE_SECRET];
    return [service.apiKey, deployment.accessToken, ...known, ...sessionIds];
  }

  /** With a session. */
  async client(): Promise<RawClient> {
    const headers = { ...tokenOf(this.deployment), cookie: `a=${COOKIE_SECRET}` };
    const client = new RawClient(this.deployment.urls.mcp, headers);
    await client.open();
    this.sessionIds.push(String(client.sessionId));
    return client;
  }

  /** The span of this name, once it has come. */
  async span(traceId: string, name: string): Promise<CollectedSpan> {
    for (const until = Date.now() + SPAN_MS; Date.now() < until; await delay(POLL_MS)) {
      const found = this.collector.spans.find((span) => span.traceId === traceId && span.name === name);
      if (found) return found;
    }
    const names = this.collector.spans.filter((span) => span.traceId === traceId).map((span) => span.name);
    throw new Error(`No span ${name} of ${traceId} after ${SPAN_MS} ms, only ${names.join(', ')}`);
  }

  async scrape(): Promise<PrometheusText> {
    const headers = { authorization: `Bearer ${METRICS_KEY}` };
    const answer = await fetch(`${this.service.origin}/metrics`, { headers });
    const type = String(answer.headers.get('content-type'));
    if (!/^text\/plain; version=0\.0\.4(;|$)/.test(type)) throw new Error(`The type is ${type}`);
    return new PrometheusText(await answer.text());
  }

  async status(path: string, headers: Record<string, string>): Promise<number> {
    const answer = await fetch(`${this.service.origin}${path}`, { headers });
    await answer.arrayBuffer();
    return answer.status;
  }

  /** Status and request id of an upgrade that is refused. */
  refusedUpgrade(headers: Record<string, string>): Promise<(number | string | undefined)[]> {
    const upgrade = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
    };
    const path = new URL(this.deployment.urls.ws).pathname;
    return new Promise((resolve, reject) => {
      const req = request({ port: this.service.port, path, headers: { ...upgrade, ...headers } });
      req.on('response', (res) => {
        res.resume();
        resolve([res.statusCode, String(res.headers['x-request-id'])]);
      });
      req.on('error', reject).end();
    });
  }

  async stop(): Promise<void> {
    await this.service.stop();
    await this.collector.stop();
  }
}

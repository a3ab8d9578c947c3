import { once } from 'node:events';
import { createServer, type IncomingMessage, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type ProxyTarget, UpstreamProxy } from '../../src/gateway/upstream-proxy.js';
import { countingCalls } from './counting-calls.js';
import { HttpUpstream, type Received } from './http-upstream.js';

export const MAX_BYTES = 100_000;

/** The reverse proxy on a port of its own, in front of a scripted server. */
export class ProxyServer {
  /** What the server behind it does. */
  script: (request: Received) => void | Promise<void> = () => undefined;
  /** Of the server's endpoint; undefined: its default. */
  path: string | undefined;
  readonly faults: unknown[] = [];
  readonly counts = { leases: 0, handled: 0, calls: 0 };
  readonly calls = countingCalls(this.counts);
  private readonly proxy = new UpstreamProxy((fault) => this.faults.push(fault));

  private constructor(
    readonly upstream: HttpUpstream,
    private readonly server: ReturnType<typeof createServer>,
    private readonly port: number,
  ) {}

  static async start(): Promise<ProxyServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const upstream = await HttpUpstream.start((request) => started.script(request));
    const started = new ProxyServer(upstream, server, (server.address() as AddressInfo).port);
    server.on('request', (req, res) => {
      started.counts.handled++;
      res.setHeader('access-control-allow-origin', 'https://ours.example');
      void started.proxy.handle(req, res, started.target()).finally(() => started.counts.handled--);
    });
    return started;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await this.upstream.close();
  }

  /** Send a request; a POST without a body stays open. */
  begin(method: string, headers: Record<string, string> = {}, body?: string | Buffer) {
    const request = httpRequest({
      port: this.port,
      host: '127.0.0.1',
      method,
      agent: false,
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        ...headers,
      },
    });
    request.on('error', () => undefined);
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', (res) => {
        res.on('error', () => undefined);
        resolve(res);
      });
      request.once('error', reject);
    });
    if (body !== undefined || method !== 'POST') request.end(body);
    return { request, answer };
  }

  async send(method: string, headers: Record<string, string> = {}, message?: unknown) {
    const body = message === undefined ? '' : JSON.stringify(message);
    const answer = await this.begin(method, headers, body).answer;
    return { status: answer.statusCode, headers: answer.headers, body: await text(answer) };
  }

  private target(): ProxyTarget {
    return {
      owner: { deploymentId: 'dp_a', principal: 'p' },
      endpoint: this.upstream.endpoint(this.path),
      arrivedAt: performance.now(),
      maxMessageBytes: MAX_BYTES,
      calls: this.calls,
      lease: () => {
        this.counts.leases++;
        return () => this.counts.leases--;
      },
    };
  }
}

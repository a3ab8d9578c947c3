import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import type { Duplex } from 'node:stream';
import { FrontTraffic, messagesIn } from './front-traffic.js';
import { PauseGate } from './pause-gate.js';
import { passSocket } from './front-sockets.js';

const LARGEST_WAIT_SECONDS = 60;

/**
 * Stands between clients and a service, and forces a pause of the deployment before each request that needs it: whatever
 * answers is never the process that answered before. Streams stay open meanwhile, and notifications, answers and the rest
 * of HTTP pass as they are. A pause does to a call what it does not do by itself, so there is none while one is in
 * flight, or waits for what its client has been asked.
 */
export class PausingFront {
  private readonly gates = new Map<string, PauseGate>();
  /** Of the connections of HTTP+SSE, by the query of where their clients post. */
  private readonly streams = new Map<string, FrontTraffic>();

  private constructor(
    private readonly server: Server,
    private readonly apiKey: string,
    private readonly servicePort: number,
  ) {
    server.on('request', (req: IncomingMessage, res: ServerResponse) => {
      this.pass(req, res).catch((error: Error) => {
        if (res.headersSent) res.destroy();
        else res.writeHead(502, { 'content-type': 'text/plain' }).end(String(error));
      });
    });
    server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      passSocket(
        req,
        socket,
        head,
        this.servicePort,
        new FrontTraffic(this.gateOf(req.url?.split('/')[2] ?? '')),
      );
    });
  }

  static async start(apiKey: string, servicePort: number): Promise<PausingFront> {
    const server = createServer({ requestTimeout: 0 }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PausingFront(server, apiKey, servicePort);
  }

  /** How often it has paused a deployment. */
  pausesOf(deploymentId: string): number {
    return this.gates.get(deploymentId)?.pauses ?? 0;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  private async pass(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const [path = '', query = ''] = (req.url ?? '').split('?');
    const [, , id = '', endpoint] = path.split('/');
    const isGateway = path.startsWith('/mcp-server/');
    if (isGateway && req.method === 'POST' && endpoint === 'mcp') return this.passPost(req, res, id);
    if (isGateway && req.method === 'POST' && endpoint === 'messages') {
      return this.passMessage(req, res, this.streams.get(query));
    }
    const answer = await this.forward(req, res);
    if (isGateway && req.method === 'GET' && endpoint === 'sse') this.followStream(answer, id);
    passAnswer(answer, res);
  }

  /** Of Streamable HTTP: the answer brings what was asked for, and its end is the end of it. */
  private async passPost(req: IncomingMessage, res: ServerResponse, id: string): Promise<void> {
    const traffic = new FrontTraffic(this.gateOf(id));
    res.once('close', () => traffic.end());
    const body = await buffer(req);
    await traffic.admit(messagesIn(body.toString()));
    const answer = await this.forward(req, res, body);
    if (answer.headers['content-type']?.startsWith('text/event-stream')) {
      answer.on('data', (chunk: string) => traffic.hear(chunk));
    } else {
      let whole = '';
      answer.on('data', (chunk: string) => (whole += chunk));
      answer.on('end', () => traffic.hearMessages(whole));
    }
    passAnswer(answer, res);
  }

  /** Of HTTP+SSE: what was asked for comes by the stream. */
  private async passMessage(
    req: IncomingMessage,
    res: ServerResponse,
    traffic?: FrontTraffic,
  ): Promise<void> {
    const body = await buffer(req);
    const messages = messagesIn(body.toString());
    await traffic?.admit(messages);
    const answer = await this.forward(req, res, body);
    if (answer.statusCode !== 202) traffic?.dismiss(messages);
    passAnswer(answer, res);
  }

  /** Resolves with the head of the answer, which is broken off when the client leaves. */
  private forward(req: IncomingMessage, res: ServerResponse, body?: Buffer): Promise<IncomingMessage> {
    const { method, url, headers } = req;
    const { 'transfer-encoding': _encoding, connection: _connection, ...rest } = headers;
    return new Promise((resolve, reject) => {
      const forwarded = request({
        host: '127.0.0.1',
        port: this.servicePort,
        agent: false,
        method,
        path: url,
        headers: body ? { ...rest, 'content-length': body.length } : rest,
      });
      forwarded.on('response', resolve).on('error', reject);
      res.on('close', () => forwarded.destroy());
      if (res.destroyed) forwarded.destroy();
      if (body) forwarded.end(body);
      else req.pipe(forwarded);
    });
  }

  private followStream(answer: IncomingMessage, id: string): void {
    const traffic = new FrontTraffic(this.gateOf(id));
    let query: string | undefined;
    let head = '';
    answer.on('data', (chunk: string) => {
      traffic.hear(chunk);
      if (query !== undefined) return;
      head += chunk;
      query = /^data: ?[^?\n]*\?(.*)$/m.exec(head)?.[1];
      if (query !== undefined) this.streams.set(query, traffic);
    });
    answer.on('close', () => {
      traffic.end();
      if (query !== undefined) this.streams.delete(query);
    });
  }

  private gateOf(id: string): PauseGate {
    const known = this.gates.get(id);
    if (known) return known;
    const gate = new PauseGate(() => this.pause(id));
    this.gates.set(id, gate);
    return gate;
  }

  /** One that cannot be paused, or does not exist, is for the service to speak of. */
  private async pause(id: string): Promise<boolean> {
    const path = `/api/deployment/${id}/pause?wait=${LARGEST_WAIT_SECONDS}`;
    const call = request({
      host: '127.0.0.1',
      port: this.servicePort,
      method: 'POST',
      path,
      headers: { 'x-api-key': this.apiKey },
    });
    call.end();
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    const said = await text(answer);
    if (answer.statusCode === 404 || answer.statusCode === 409) return false;
    const { status } = JSON.parse(said) as { status?: string };
    if (status !== 'paused') throw new Error(`${path} answered ${answer.statusCode}: ${said}`);
    return true;
  }
}

/** Not held back, and what of it is text may be listened to. */
function passAnswer(answer: IncomingMessage, res: ServerResponse): void {
  res.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
  res.flushHeaders();
  answer.on('error', () => res.destroy());
  answer.setEncoding('utf8').pipe(res);
}

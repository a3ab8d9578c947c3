import { once, setMaxListeners } from 'node:events';
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Channel, ChannelClosed } from '../../src/mcp/channels/channel.js';
import type { HttpEndpoint } from '../../src/mcp/channels/http-endpoint.js';
import { MessageMemory } from '../../src/mcp/edges/http/message-memory.js';

export interface Received {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
  /** Of a JSON body. */
  message: { id?: number | string; method?: string; params?: Record<string, unknown> };
  res: ServerResponse;
}

/** An MCP server that speaks HTTP, as far as the script goes. */
export class HttpUpstream {
  readonly received: Received[] = [];
  readonly gone = new AbortController();
  readonly agent = new Agent({ keepAlive: true });
  lastWords = '';
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: ReturnType<typeof createServer>,
    readonly port: number,
  ) {
    setMaxListeners(0, this.gone.signal);
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  static async start(script: (request: Received) => void | Promise<void>): Promise<HttpUpstream> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const upstream = new HttpUpstream(server, (server.address() as AddressInfo).port);
    server.on('request', (req, res) => void upstream.receive(req, res, script));
    return upstream;
  }

  get openSockets(): number {
    return this.sockets.size;
  }

  endpoint(path = '/mcp?a=b'): HttpEndpoint {
    const memory = new MessageMemory();
    const lastWords = (): string => this.lastWords;
    return {
      address: '127.0.0.1',
      port: this.port,
      path,
      host: `localhost:${this.port}`,
      agent: this.agent,
      gone: this.gone.signal,
      get lastWords() {
        return lastWords();
      },
      answerMemory: () => memory.lease('dp_a'),
    };
  }

  /** The requests with this method of HTTP. */
  of(method: string): Received[] {
    return this.received.filter((request) => request.method === method);
  }

  /** The process exits: its connections break, then its end is known. */
  exit(why: string): void {
    this.dropAll();
    this.gone.abort(new Error(why));
  }

  dropAll(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.agent.destroy();
    this.dropAll();
    this.server.close();
    await once(this.server, 'close');
  }

  private async receive(
    req: IncomingMessage,
    res: ServerResponse,
    script: (request: Received) => void | Promise<void>,
  ): Promise<void> {
    res.on('error', () => undefined);
    const body = await text(req).catch(() => '');
    const { method = '', url = '', headers } = req;
    const message = (body.startsWith('{') ? JSON.parse(body) : {}) as Received['message'];
    const request = { method, path: url, headers, body, message, res };
    this.received.push(request);
    await script(request);
  }
}

export function sendJson(res: ServerResponse, body: unknown, headers: Record<string, string> = {}): void {
  res.writeHead(200, { 'content-type': 'application/json', ...headers });
  res.end(JSON.stringify(body));
}

export function startStream(res: ServerResponse, headers: Record<string, string> = {}): void {
  res.writeHead(200, { 'content-type': 'text/event-stream', ...headers });
  res.flushHeaders();
}

export function sendEvent(res: ServerResponse, message: unknown, id?: string): void {
  res.write(`${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(message)}\n\n`);
}

export function resultOf({ message }: Received, result: object = {}): object {
  return { jsonrpc: '2.0', id: message.id, result };
}

export function initializeResult(revision = '2025-11-25'): object {
  return { protocolVersion: revision, capabilities: {}, serverInfo: { name: 'scripted', version: '1' } };
}

type Script = (request: Received) => void;

/** A server with a session, a GET stream that stays silent, and a script for the rest. */
export function withSession(script: Script, get: Script = ({ res }) => startStream(res)): Script {
  return (request) => {
    const { method, message, res } = request;
    if (method === 'GET') get(request);
    else if (method === 'DELETE') res.writeHead(200).end();
    else if (message.method === 'initialize') {
      sendJson(res, resultOf(request, initializeResult()), { 'mcp-session-id': 'their-session' });
    } else if (message.method === 'notifications/initialized') res.writeHead(202).end();
    else script(request);
  };
}

interface Heard {
  id?: number | string;
  method?: string;
  result?: Record<string, unknown>;
  error?: { code: number; message: string };
}

/** Who listens to a channel, and remembers. */
export class Listener {
  readonly heard: Heard[] = [];
  closed: ChannelClosed | undefined;
  /** What holds the next message back. */
  hold: Promise<void> | undefined;

  constructor(readonly channel: Channel) {
    channel.open({
      message: ({ text }) => {
        this.heard.push(JSON.parse(text) as Heard);
        return this.hold;
      },
      closed: (why) => {
        this.closed = why;
      },
    });
  }

  say(message: object): Promise<void> | undefined {
    return this.channel.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
  }

  answerTo(id: number | string): Heard | undefined {
    return this.heard.find((message) => message.id === id && message.method === undefined);
  }

  answersTo(id: number | string): Heard[] {
    return this.heard.filter((message) => message.id === id && message.method === undefined);
  }
}

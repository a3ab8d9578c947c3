import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import type { RawClient } from './client-raw.js';

export type Headers = Record<string, string>;

/** The text of a request; what is not said is as it should be. */
export function httpRequest(
  path: string,
  headers: Headers,
  body = '',
  line = `POST ${path} HTTP/1.1`,
): string {
  const all = {
    host: 'localhost',
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `${[line, ...lines].join('\r\n')}\r\n\r\n${body}`;
}

/** What a request of an open session carries. */
export function sessionHeaders({ sessionId = '', revision = '' }: RawClient, token: Headers): Headers {
  return { 'mcp-session-id': sessionId, 'mcp-protocol-version': revision, ...token };
}

/** A WebSocket frame as a client sends it, masked; `first` is its first byte: FIN, reserved bits and opcode. */
export function frame(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  const size = length < 126 ? Buffer.from([0x80 | length]) : Buffer.from([0xfe, length >> 8, length & 0xff]);
  const mask = randomBytes(4);
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0));
  return Buffer.concat([Buffer.from([first]), size, mask, masked]);
}

/** Resolves when the connection is over, however it ended. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve());
  });
}

/** Connections to the control plane with nothing between the test and the bytes, and whether it lets go of them. */
export class HostileSockets {
  private readonly ports = new Set<number>();

  constructor(private readonly port: number) {}

  async open(): Promise<Socket> {
    const socket = connect({ port: this.port, host: '127.0.0.1' });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    this.ports.add(socket.localPort ?? 0);
    return socket;
  }

  /** Everything that comes back until the other side ends the connection. */
  async exchange(bytes: string | Buffer): Promise<string> {
    const socket = await this.open();
    let answer = '';
    socket.setEncoding('latin1').on('data', (text: string) => (answer += text));
    socket.write(bytes);
    await closed(socket);
    return answer;
  }

  /** Upgrade to a WebSocket; resolves with the connection when that is done. */
  async webSocket(path: string, token: Headers): Promise<Socket> {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      'sec-websocket-protocol': 'mcp',
      ...token,
    };
    const socket = await this.open();
    socket.write(httpRequest(path, headers, '', `GET ${path} HTTP/1.1`));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    if (!answer.toString('latin1').startsWith('HTTP/1.1 101 ')) throw new Error(answer.toString('latin1'));
    return socket;
  }

  /** Those of our connections that the control plane still holds. */
  async held(): Promise<string[]> {
    const { stdout } = await promisify(execFile)('ss', ['-Htan', 'sport', `= :${this.port}`]);
    return stdout.split('\n').filter((line) => {
      const [state, , , , peer = ''] = line.split(/\s+/);
      return state !== 'TIME-WAIT' && this.ports.has(Number(peer.replace(/^.*:/, '')));
    });
  }
}

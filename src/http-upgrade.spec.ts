import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serveUpgrades } from './http-upgrade.js';

let server: Server;
let upgraded: (string | undefined)[];

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  let body = '';
  for await (const chunk of req) body += String(chunk);
  const { upgrade, connection, 'http2-settings': settings } = req.headers;
  res.end(JSON.stringify({ method: req.method, url: req.url, body, upgrade, connection, settings }));
}

/** What comes back for raw bytes, until `isWhole`. */
async function send(isWhole: (text: string) => boolean, ...parts: string[]): Promise<string> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  for (const part of parts) {
    socket.write(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await expect.poll(() => isWhole(text)).toBe(true);
  socket.destroy();
  return text;
}

beforeEach(async () => {
  upgraded = [];
  server = createServer((req, res) => void answer(req, res));
  serveUpgrades(server, '/ws/', async (req, socket) => {
    upgraded.push(req.url);
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    await Promise.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const hasTwoAnswers = (text: string): boolean =>
  (text.match(/HTTP\/1\.1 200/g) ?? []).length === 2 && text.endsWith('}');

const H2C = 'Connection: Upgrade, HTTP2-Settings, keep-alive\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEA\r\n';

describe('a request to upgrade', () => {
  it('to a WebSocket goes to the gateway', async () => {
    const head = 'GET /ws/x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n';
    await send((text) => text.includes('400'), head);
    expect(upgraded).toEqual(['/ws/x']);
  });

  it.each([
    ['to HTTP/2', H2C],
    ['to a WebSocket elsewhere', 'Connection: upgrade\r\nUpgrade: websocket\r\n'],
  ])('%s is served without, its body and the next request included', async (_what, headers) => {
    const body = 'x'.repeat(200_000);
    const text = await send(
      hasTwoAnswers,
      `POST /api HTTP/1.1\r\nHost: a\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
      body.slice(10),
      'GET /next HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    expect(text).toContain(`"body":"${body}"`);
    expect(text).toContain('"url":"/next"');
    expect(text).not.toMatch(/"upgrade":|"settings":/);
    expect(upgraded).toEqual([]);
  });
});

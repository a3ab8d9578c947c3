import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf, transportTo } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { converse } from '../support/edge-conversation.js';
import { fixtureImage } from '../support/fixture-image.js';
import { proxyPorts, ReverseProxy } from '../support/reverse-proxy.js';
import { type Deployment, Service } from '../support/service.js';
import { RawWebSocketClient } from '../support/websocket-client.js';

const OUTSIDE = 'mcp.example.com';
/** Longer than the timeouts of nginx in this test, shorter than what makes the service turn to a stream. */
const SILENT_MS = 2500;
const LARGE = 4 * 1024 * 1024;

let service: Service;
let deployment: Deployment & { accessToken: string };
let plainPort: number;
let proxies: Record<'nginx' | 'Caddy', ReverseProxy>;

beforeAll(async () => {
  const image = await fixtureImage();
  const [nginxPort = 0, caddyPort = 0, plain = 0] = await proxyPorts(3);
  plainPort = plain;
  service = await Service.start({ env: { PUBLIC_URL: `http://${OUTSIDE}` } });
  const [nginx, Caddy] = await Promise.all([
    ReverseProxy.nginx(service.port, nginxPort, plainPort),
    ReverseProxy.caddy(service.port, caddyPort),
  ]);
  proxies = { nginx, Caddy };
  deployment = await service.deploy({ image, access: 'public', warmProcesses: 2 });
});

afterAll(async () => {
  await Promise.all(Object.values(proxies).map((proxy) => proxy.stop()));
  await service.stop();
});

/** The deployment's path behind one of the proxies. */
function at(port: number, path = 'mcp'): string {
  return `127.0.0.1:${port}/mcp-server/${deployment.id}/${path}`;
}

/** The status of a DELETE without a session under this name, which fetch would not send. */
function statusUnder(port: number, host: string, headers: Record<string, string> = {}): Promise<number> {
  const url = new URL(`http://${at(port)}`);
  return new Promise((resolve, reject) => {
    const req = request(url, { method: 'DELETE', headers: { host, ...headers } }, (res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
    req.on('error', reject).end();
  });
}

describe.each(['nginx', 'Caddy'] as const)('behind %s as docs/ has it', (name) => {
  let port: number;
  beforeAll(() => {
    ({ port } = proxies[name]);
  });

  it('Streamable HTTP carries progress, logs, questions and cancellation as they happen', async () => {
    await converse(transportTo({ ...deployment, urls: { ...deployment.urls, mcp: `http://${at(port)}` } }));
  });

  it('HTTP+SSE does as well', async () => {
    const requestInit = { headers: tokenOf(deployment) };
    await converse(new SSEClientTransport(new URL(`http://${at(port, 'sse')}`), { requestInit }));
  });

  it('a WebSocket is upgraded, and stays open while nothing is said', async () => {
    const client = await RawWebSocketClient.connect(`ws://${at(port, 'ws')}`);
    const clientInfo = { name: 'raw', version: '1' };
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
    await client.ask({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, 1);
    client.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    const call = { name: 'slow', arguments: { ms: SILENT_MS, label: 'silent' } };
    const messages = await client.ask({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: call }, 2);
    expect(messages[1]).toMatchObject({ id: 2, result: { content: [{ text: 'silent done' }] } });
    client.ws.close();
    expect(await client.end()).toMatchObject({ code: expect.any(Number) as number });
  });

  it('a call may be silent for longer than the proxy would wait by itself', async () => {
    const client = new RawClient(`http://${at(port)}`);
    await client.open();
    expect(answerText(await client.call(1, 'slow', { ms: SILENT_MS, label: 'silent' }))).toBe('silent done');
    await client.end();
  });

  it('a message four times as large as nginx lets through passes in both directions', async () => {
    const client = new RawClient(`http://${at(port)}`);
    await client.open();
    const text = 'x'.repeat(LARGE);
    expect(answerText(await client.call(1, 'echo', { text })) === text).toBe(true);
    await client.end();
  });

  it('the name of PUBLIC_URL is known, another is not, whatever forwarding headers say', async () => {
    // Known: there is no such session. Unknown: the request is not looked at.
    expect(await statusUnder(port, OUTSIDE)).toBe(400);
    expect(await statusUnder(port, 'evil.example.net')).toBe(403);
    const forged = {
      'x-forwarded-host': OUTSIDE,
      'x-forwarded-for': '127.0.0.1',
      forwarded: `host=${OUTSIDE}`,
    };
    expect(await statusUnder(port, 'evil.example.net', forged)).toBe(403);
    expect(deployment.urls.mcp).toBe(`http://${OUTSIDE}/mcp-server/${deployment.id}/mcp`);
  });
});

describe('behind nginx as it comes', () => {
  it('a silent call is cut off and a large message is refused, so the settings of docs/nginx.conf are needed', async () => {
    const client = new RawClient(`http://${at(plainPort)}`);
    await client.open();
    expect(await statusOf(plainPort, client, 'slow', { ms: SILENT_MS, label: 'silent' })).toBe(504);
    expect(await statusOf(plainPort, client, 'echo', { text: 'x'.repeat(LARGE) })).toBe(413);
    await client.end();
  });
});

/** The status of a call that the proxy answers itself, in HTML. */
async function statusOf(
  port: number,
  { sessionId = '' }: RawClient,
  name: string,
  args: Record<string, unknown>,
): Promise<number> {
  const answer = await fetch(`http://${at(port)}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': sessionId,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'tools/call', params: { name, arguments: args } }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

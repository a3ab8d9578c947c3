import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { tokenOf } from '../support/client.js';
import { converse, playRounds, serverProcesses } from '../support/edge-conversation.js';
import { fixtureImage } from '../support/fixture-image.js';
import { roundsOf } from '../support/pauses.js';
import { type Deployment, Service } from '../support/service.js';
import { send } from '../support/sse-client.js';
import { RawWebSocketClient } from '../support/websocket-client.js';

const ROUNDS = roundsOf(1000);

function offer(secret: string): string {
  return `mcp.bearer.${Buffer.from(secret).toString('base64url')}`;
}

describe('WebSocket to a server that speaks stdio', () => {
  let service: Service;
  let deployment: Deployment & { accessToken: string };
  let url: string;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    deployment = await service.deploy({ image, warmProcesses: 0, maxSessions: 2 });
    url = `ws://localhost:${service.port}/mcp-server/${deployment.id}/ws`;
  });

  afterAll(() => service.stop());

  function connect(): Promise<RawWebSocketClient> {
    return RawWebSocketClient.connect(url, { headers: tokenOf(deployment) });
  }

  it("the SDK's client calls, hears progress and logs, is asked, samples and cancels", async () => {
    // Node 20 has no WebSocket of its own, and the transport sets no headers.
    class WithToken extends WebSocket {
      constructor(address: string | URL, protocols?: string | string[]) {
        super(address, protocols, { headers: tokenOf(deployment) });
      }
    }
    const before = globalThis.WebSocket;
    globalThis.WebSocket = WithToken as unknown as typeof globalThis.WebSocket;
    try {
      await converse(new WebSocketClientTransport(new URL(url)));
    } finally {
      globalThis.WebSocket = before;
    }
  });

  it(`two clients under the same ids and tokens hear only their own, ${ROUNDS} rounds`, async () => {
    const clients = [await connect(), await connect()];
    await playRounds(
      clients.map((client) => ({
        messages: client.messages,
        send: (message) => client.send(message),
        until: (count) => client.until(() => client.messages.length >= count),
      })),
      ROUNDS,
    );
    for (const client of clients) client.ws.close();
    await expect.poll(() => serverProcesses(deployment), { timeout: 20_000 }).toBe(0);
  }, 300_000);

  it('a browser offers its key as a subprotocol, and is let in as whom it belongs to', async () => {
    for (const secret of [deployment.accessToken, service.apiKey]) {
      const client = await RawWebSocketClient.connect(url, { protocols: [offer(secret), 'mcp'] });
      expect(client.ws.protocol).toBe('mcp');
      client.ws.close();
      await client.end();
    }
    expect(service.log).not.toContain(offer(deployment.accessToken));
  });

  it.each([
    ['no key', {}, '', 401],
    ['a wrong key', { protocols: [offer('wrong'), 'mcp'] }, '', 401],
    ['its key in the query', {}, '?token=', 401],
    ['a page from elsewhere', { headers: { origin: 'https://evil.example' } }, '', 403],
  ])('%s: it is refused before anything is started', async (_, options, query, status) => {
    const address = query === '' ? url : `${url}${query}${deployment.accessToken}`;
    await expect(RawWebSocketClient.connect(address, options)).rejects.toThrow(`HTTP ${status}`);
    await expect.poll(() => serverProcesses(deployment), { timeout: 20_000 }).toBe(0);
  });

  it('what is no WebSocket, and no such deployment, is told so', async () => {
    const path = `/mcp-server/${deployment.id}/ws`;
    expect((await send(service.port, 'GET', path, tokenOf(deployment))).status).toBe(426);
    const nowhere = url.replace(deployment.id, 'dp_doesnotexist');
    await expect(RawWebSocketClient.connect(nowhere)).rejects.toThrow('HTTP 404');
    const options = { headers: tokenOf(deployment), protocols: ['graphql-ws'] };
    await expect(RawWebSocketClient.connect(url, options)).rejects.toThrow('HTTP 400');
  });

  it('says how its server ended, stays open, and goes on with another', async () => {
    const client = await connect();
    const clientInfo = { name: 'x', version: '1' };
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo };
    await client.ask({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, 1);
    await client.ask(call(2, 'exit', { code: 7 }), 2);
    expect(client.messages[1]).toMatchObject({
      id: 2,
      error: {
        message: expect.stringContaining('The server exited with code 7') as string,
        data: { code: 'server_exited' },
      },
    });
    await client.ask(call(3, 'echo', { text: 'again' }), 3);
    expect(client.messages[2]).toMatchObject({ id: 3, result: { content: [{ text: 'again' }] } });
    expect(client.closed).toBeUndefined();
    client.ws.close();
    await client.end();
  });

  it('is closed with 1001 with its deployment', async () => {
    const client = await connect();
    await service.delete(deployment.id);
    expect((await client.end())?.code).toBe(1001);
  });
});

function call(id: number, name: string, args: object): object {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } };
}

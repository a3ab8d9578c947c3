import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { converse, playRounds, serverProcesses } from '../support/edge-conversation.js';
import { fixtureImage } from '../support/fixture-image.js';
import { roundsOf } from '../support/pauses.js';
import { type Deployment, Service } from '../support/service.js';
import { RawSseClient, send } from '../support/sse-client.js';

const ROUNDS = roundsOf(1000);

describe('HTTP+SSE to a server that speaks stdio', () => {
  let service: Service;
  let deployment: Deployment & { accessToken: string };
  let base: string;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    deployment = await service.deploy({ image, warmProcesses: 0, maxSessions: 2 });
    base = `/mcp-server/${deployment.id}`;
  });

  afterAll(() => service.stop());

  function connect(headers = tokenOf(deployment)): Promise<RawSseClient> {
    return RawSseClient.connect(service.port, headers, base);
  }

  it("the SDK's client calls, hears progress and logs, is asked, samples and cancels", async () => {
    const url = new URL(deployment.urls.mcp.replace(/mcp$/, 'sse'));
    await converse(new SSEClientTransport(url, { requestInit: { headers: tokenOf(deployment) } }));
  });

  it(`two clients under the same ids and tokens hear only their own, ${ROUNDS} rounds`, async () => {
    const clients = [await connect(), await connect()];
    await playRounds(clients, ROUNDS);
    for (const client of clients) client.leave();
    await expect.poll(() => serverProcesses(deployment), { timeout: 20_000 }).toBe(0);
  }, 300_000);

  it('a session needs a key, and belongs to whoever opened it', async () => {
    const refused = await (await send(service.port, 'GET', `${base}/sse`)).whole();
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Bearer realm="mcp-runner"']);
    const client = await connect();
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    expect((await client.post(ping, { authorization: undefined })).status).toBe(401);
    expect((await client.post(ping, { authorization: `Bearer ${service.apiKey}` })).status).toBe(404);
    expect((await client.post(ping)).status).toBe(202);
    client.leave();
  });

  it('a client that tries Streamable HTTP first is told to go on, and one that is many to wait', async () => {
    const headers = { ...tokenOf(deployment), 'content-type': 'application/json' };
    const posted = await (await send(service.port, 'POST', `${base}/sse`, headers, '{}')).whole();
    expect([posted.status, posted.headers.allow]).toEqual([405, 'GET']);
    await expect.poll(() => serverProcesses(deployment), { timeout: 20_000 }).toBe(0);
    const clients = [await connect(), await connect()];
    const refused = await (await send(service.port, 'GET', `${base}/sse`, tokenOf(deployment))).whole();
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '10']);
    for (const client of clients) client.leave();
  });

  it('a stream ends with its deployment, and nothing is there any more', async () => {
    await expect.poll(() => serverProcesses(deployment), { timeout: 20_000 }).toBe(0);
    const client = await connect();
    await service.delete(deployment.id);
    await client.stream.whole();
    expect((await client.post({ jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(404);
    client.leave();
  });
});

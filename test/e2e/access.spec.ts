import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

type Headers = Record<string, string>;

const bearer = (secret: string): Headers => ({ authorization: `Bearer ${secret}` });

async function initialize(url: string, headers: Headers): Promise<Response> {
  const clientInfo = { name: 'x', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params }),
  });
  await response.arrayBuffer();
  return response;
}

describe('who may use a deployment', () => {
  let service: Service;
  let guarded: Deployment & { accessToken: string };
  let open: Deployment & { accessToken: string };

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    [guarded, open] = await Promise.all([
      service.deploy({ image, access: 'token' }),
      service.deploy({ image, access: 'public' }),
    ]);
  });

  afterAll(() => service.stop());

  it('its own token and a key of its owner open it, as Bearer and as X-API-Key', async () => {
    const { accessToken } = guarded;
    for (const headers of [
      bearer(accessToken),
      bearer(service.apiKey),
      { 'x-api-key': accessToken },
      { 'x-api-key': service.apiKey },
    ]) {
      expect((await initialize(guarded.urls.mcp, headers)).status).toBe(200);
    }
  });

  it('nothing, nonsense and the token of another deployment do not open it', async () => {
    const wrong: Headers[] = [
      {},
      bearer('undefined'),
      bearer(open.accessToken),
      { authorization: `Basic ${guarded.accessToken}` },
      { 'x-api-key': `${guarded.accessToken}x` },
    ];
    for (const headers of wrong) {
      const response = await initialize(guarded.urls.mcp, headers);
      expect({ headers, status: response.status }).toEqual({ headers, status: 401 });
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    }
  });

  it('a token in the query string does not open it', async () => {
    const { status } = await initialize(`${guarded.urls.mcp}?token=${guarded.accessToken}`, {});
    expect(status).toBe(401);
  });

  it('a public one is opened by its URL alone', async () => {
    expect((await initialize(open.urls.mcp, {})).status).toBe(200);
  });

  it('the token is shown once, and only its hash is kept', async () => {
    expect(guarded.accessToken.length).toBeGreaterThanOrEqual(32);
    expect(await service.get(guarded.id)).not.toHaveProperty('accessToken');
    expect(service.log).not.toContain(guarded.accessToken);
    expect(service.log).not.toContain(service.apiKey);
  });

  it('the token of a deployment does not open the API', async () => {
    for (const headers of [{}, { 'x-api-key': guarded.accessToken }, { 'x-api-key': 'wrong' }]) {
      const { status } = await service.api('GET', '/api/deployment', undefined, headers);
      expect(status).toBe(401);
    }
  });

  it('a session does not exist for another principal, nor at another deployment', async () => {
    const owner = new RawClient(guarded.urls.mcp, bearer(guarded.accessToken));
    await owner.open();
    const strangers = [
      new RawClient(guarded.urls.mcp, bearer(service.apiKey)),
      new RawClient(open.urls.mcp, bearer(guarded.accessToken)),
    ];
    for (const stranger of strangers) {
      stranger.sessionId = owner.sessionId;
      expect((await stranger.call(1, 'session_counter')).status).toBe(404);
      expect((await stranger.listen()).status).toBe(404);
      expect(await stranger.end()).toBe(404);
    }
    expect((await owner.call(1, 'session_counter')).status).toBe(200);
    expect(await owner.end()).toBe(200);
  });

  it('more sessions than the limit are refused with 503 and a reason, until one ends', async () => {
    const image = await fixtureImage();
    const { urls } = await service.deploy({ image, access: 'public', maxSessions: 2, warmProcesses: 0 });
    const [one, two] = [new RawClient(urls.mcp), new RawClient(urls.mcp)];
    await Promise.all([one.open(), two.open()]);
    const refused = await initialize(urls.mcp, {});
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await one.end()).toBe(200);
    expect((await initialize(urls.mcp, {})).status).toBe(200);
  });
});

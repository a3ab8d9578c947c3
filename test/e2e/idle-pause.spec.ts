import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { dualEraImage, fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';
import { StreamText } from '../support/stream-text.js';
import { RawSseClient } from '../support/sse-client.js';
import { RawWebSocketClient } from '../support/websocket-client.js';
import { META } from '../../src/mcp/modern/modern-request.js';

const CHANGED = 'tools/list_changed';
const AT_ONCE = 100;
const LONG_CALL_MS = 60_000;
const SHORTEST_PAUSE_S = 30;

const initialize = (id: number) => ({
  jsonrpc: '2.0',
  id,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
});
const echo = (id: number, text: string) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: 'echo', arguments: { text } },
});

const HTTP = {
  transport: { type: 'streamable_http', endpoint: 'http://localhost:3000/mcp' },
  args: ['--http', '3000'],
};
const isChange = ({ method }: { method?: string }): boolean => method?.endsWith(CHANGED) === true;

describe('a deployment that is paused beneath its clients', () => {
  let service: Service;
  let image: string;

  beforeAll(async () => {
    image = await fixtureImage();
    service = await Service.start();
  });

  afterAll(() => service.stop());

  async function pause({ id }: Deployment): Promise<void> {
    const { body } = await service.api<Deployment>('POST', `/api/deployment/${id}/pause?wait=60`);
    expect(body.status).toBe('paused');
  }

  /** How often it was started since the service began to log. */
  const starts = ({ id }: Deployment): number =>
    service.log.split('\n').filter((line) => line.includes(id) && line.includes('"to":"starting"')).length;

  it('an idle one is paused and its memory freed, while one in the middle of a long call is not', async () => {
    const request = { image, pauseAfterSeconds: SHORTEST_PAUSE_S, access: 'public' } as const;
    const [busy, idle] = await Promise.all([service.deploy(request), service.deploy(request)]);
    const client = new RawClient(busy.urls.mcp);
    await client.open();
    const call = client.call(1, 'slow', { ms: LONG_CALL_MS, label: 'long' });
    await expect.poll(async () => (await service.get(idle.id)).status, { timeout: 60_000 }).toBe('paused');
    expect((await service.get(idle.id)).statusReason.code).toBe('idle');
    expect((await service.get(idle.id)).sandbox.containerId).toBeNull();
    expect((await service.get(busy.id)).status).toBe('running');
    expect(answerText(await call)).toBe('long done');
  }, 240_000);

  it(`${AT_ONCE} requests at once, of old sessions and new ones, wake it once, and all are answered`, async () => {
    const deployment = await service.deploy({ image, maxSessions: 8, access: 'public' });
    const clients = Array.from({ length: 4 }, () => new RawClient(deployment.urls.mcp));
    for (const client of clients) await client.open();
    await pause(deployment);
    const before = starts(deployment);
    const news = Array.from({ length: 4 }, () => new RawClient(deployment.urls.mcp));
    const answers = await Promise.all([
      ...Array.from({ length: AT_ONCE - news.length }, async (_, n) => {
        const client = clients[n % clients.length] as RawClient;
        return answerText(await client.call(n, 'echo', { text: `call ${n}` })) === `call ${n}`;
      }),
      ...news.map(async (client) => (await client.open())['protocolVersion'] === '2025-11-25'),
    ]);
    expect(answers).toEqual(Array.from({ length: AT_ONCE }, () => true));
    expect(starts(deployment)).toBe(before + 1);
  });

  it('open streams of every kind stay open across pause and wake, and what they carry goes on', async () => {
    const deployment = await service.deploy({ image });
    const headers = tokenOf(deployment);
    const base = `/mcp-server/${deployment.id}`;
    const sse = await RawSseClient.connect(service.port, headers, base);
    const ws = await RawWebSocketClient.connect(deployment.urls.ws, { headers });
    const http = new RawClient(deployment.urls.mcp, headers);
    await http.open();
    const heard = new StreamText(await http.listen());
    await Promise.all([sse.ask(initialize(0), 1), ws.ask(initialize(0), 1)]);
    for (const round of [1, 2]) {
      await pause(deployment);
      expect([sse.stream.ended, ws.closed]).toEqual([false, undefined]);
      await Promise.all([
        sse.ask(echo(round, `sse ${round}`), round + 1),
        ws.ask(echo(round, `ws ${round}`), round + 1),
      ]);
      for (const [name, { messages }] of Object.entries({ sse, ws })) {
        expect(messages[round]).toMatchObject({
          id: round,
          result: { content: [{ text: `${name} ${round}` }] },
        });
      }
      // What the new process says of itself comes on the stream that was opened before it ran.
      expect(answerText(await http.call(round, 'add_tool', { name: `tool_${round}` }))).toBeTruthy();
    }
    await heard.until(CHANGED, 2);
    await heard.end();
    sse.leave();
    ws.ws.close();
  });

  it('who only listens to a process that all share hears what others bring about in the next one', async () => {
    const deployment = await service.deploy({ image, sessionMode: 'shared' });
    const headers = tokenOf(deployment);
    const base = `/mcp-server/${deployment.id}`;
    const [http, caller] = [
      new RawClient(deployment.urls.mcp, headers),
      new RawClient(deployment.urls.mcp, headers),
    ];
    const sse = await RawSseClient.connect(service.port, headers, base);
    await Promise.all([http.open(), caller.open(), sse.ask(initialize(0), 1)]);
    await sse.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    const heard = new StreamText(await http.listen());
    const changes = (): number[] => [heard.count(CHANGED), sse.messages.filter(isChange).length];
    for (const round of [1, 2]) {
      await pause(deployment);
      const before = changes();
      // The very request that wakes it brings the change about.
      await caller.call(1, 'add_tool', { name: `tool_${round}` });
      await expect.poll(changes).toEqual(before.map((count) => count + 1));
    }
    await heard.end();
    sse.leave();
  });

  it('a subscription of revision 2026-07-28 keeps nothing awake, stays open, and tells of changes in the next process', async () => {
    await Promise.all(
      [{}, HTTP].map(async (kind) => {
        const request = { image: await dualEraImage(), pauseAfterSeconds: SHORTEST_PAUSE_S };
        const deployment = await service.deploy({ ...request, ...kind });
        const headers = (method: string, name?: string) => ({
          ...tokenOf(deployment),
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': method,
          ...(name !== undefined && { 'mcp-name': name }),
        });
        const envelope = { [META.protocolVersion]: '2026-07-28', [META.clientCapabilities]: {} };
        const post = (id: number, method: string, params: object, name?: string): Promise<Response> =>
          fetch(deployment.urls.mcp, {
            method: 'POST',
            headers: headers(method, name),
            body: JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: envelope } }),
          });
        const listening = await post(1, 'subscriptions/listen', {
          notifications: { toolsListChanged: true },
        });
        const heard = new StreamText(listening);
        await heard.until('subscriptions/acknowledged');
        await expect
          .poll(async () => (await service.get(deployment.id)).status, { timeout: 60_000 })
          .toBe('paused');
        const name = 'test_trigger_tool_change';
        const called = await post(2, 'tools/call', { name, arguments: {} }, name);
        expect([called.status, await called.text()]).toEqual([200, expect.not.stringContaining('"error"')]);
        await heard.until(CHANGED);
        await heard.end();
      }),
    );
  });
});

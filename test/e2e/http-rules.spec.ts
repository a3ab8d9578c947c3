import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerText, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { Service } from '../support/service.js';

const BOTH = 'application/json, text/event-stream';
const PING = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });

interface Case {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
}

describe('the rules of Streamable HTTP', () => {
  let service: Service;
  let url: string;
  let client: RawClient;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    url = (await service.deploy({ image, access: 'public' })).urls.mcp;
    client = new RawClient(url);
    await client.open({ elicitation: {} });
  });

  afterAll(() => service.stop());

  /** A request in our session, except where the case says otherwise. An empty header is not sent. */
  async function send({ method = 'POST', headers = {}, body = PING }: Case): Promise<Response> {
    const all = {
      accept: BOTH,
      'content-type': 'application/json',
      'mcp-session-id': client.sessionId ?? '',
      ...headers,
    };
    const sent = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
    return fetch(url, { method, headers: sent, ...(method !== 'GET' && method !== 'DELETE' && { body }) });
  }

  const refused: [string, number, Case][] = [
    ['a body that is not JSON', 400, { body: '{"jsonrpc":' }],
    ['a body that is not JSON-RPC', 400, { body: '{"hello":"world"}' }],
    ['a body that is not UTF-8', 400, { body: new Uint8Array([0x22, 0xc3, 0x28, 0x22]) }],
    ['an empty body', 400, { body: '' }],
    ['a request without a session', 400, { headers: { 'mcp-session-id': '' } }],
    ['a second initialize in a session', 400, { body: PING.replace('"ping"', '"initialize","params":{}') }],
    ['a batch at a revision without batches', 400, { body: `[${PING}]` }],
    ['a revision that nobody speaks', 400, { headers: { 'mcp-protocol-version': '1999-12-31' } }],
    ['a stream without a session', 400, { method: 'GET', headers: { 'mcp-session-id': '' } }],
    ['an end without a session', 400, { method: 'DELETE', headers: { 'mcp-session-id': '' } }],
    ['a session that does not exist', 404, { headers: { 'mcp-session-id': 'unheard-of' } }],
    ['a stream of a session that does not exist', 404, { method: 'GET', headers: { 'mcp-session-id': 'x' } }],
    [
      'the end of a session that does not exist',
      404,
      { method: 'DELETE', headers: { 'mcp-session-id': 'x' } },
    ],
    ['PUT', 405, { method: 'PUT' }],
    ['PATCH', 405, { method: 'PATCH' }],
    ['a client that can read neither of the two answers', 406, { headers: { accept: 'text/html' } }],
    [
      'a stream for a client that cannot read one',
      406,
      { method: 'GET', headers: { accept: 'application/json' } },
    ],
    ['a body that says it is no JSON', 415, { headers: { 'content-type': 'text/plain' } }],
    ['a page of another origin', 403, { headers: { origin: 'https://evil.example.com' } }],
  ];

  it.each(refused)('%s is refused with %i and a JSON-RPC error', async (_, status, wrong) => {
    const response = await send(wrong);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    const body = (await response.json()) as { id?: unknown; error: { code: number; message: string } };
    expect(body).toMatchObject({ jsonrpc: '2.0', error: { code: expect.any(Number) as number } });
    expect(body.error.message).not.toBe('');
    expect(body.id ?? null).toBe(null);
  });

  it('the error code tells a parse error, an invalid request and an unknown session apart', async () => {
    const codes = [{ body: '{' }, { body: '{}' }, { headers: { 'mcp-session-id': 'x' } }].map(
      async (wrong) => {
        const body = (await (await send(wrong)).json()) as { error: { code: number } };
        return body.error.code;
      },
    );
    expect(await Promise.all(codes)).toEqual([-32700, -32600, -32001]);
  });

  it('405 names the methods there are', async () => {
    const response = await send({ method: 'PUT' });
    await response.arrayBuffer();
    expect(response.headers.get('allow')?.split(', ').sort()).toEqual(['DELETE', 'GET', 'POST']);
  });

  it('a Host that is not ours is refused with 403, as a rebound DNS name would be', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { host: 'evil.example.com', accept: BOTH, 'content-type': 'application/json' };
      const sent = request(url, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.on('error', reject).end(PING);
    });
    expect(status).toBe(403);
  });

  it.each(['/mcp-server/dp_AAAAAAAAAAAAAAAAAAAAAAAA/mcp', '/mcp-server/x/mcp', '/mcp-server', '/nothing'])(
    'there is nothing at %s',
    async (path) => {
      const response = await fetch(`${service.origin}${path}`, { method: 'POST', body: PING });
      await response.arrayBuffer();
      expect(response.status).toBe(404);
    },
  );

  it('notifications and answers are accepted with 202 and no body', async () => {
    for (const body of [
      { jsonrpc: '2.0', method: 'notifications/roots/list_changed' },
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'unheard-of' } },
      { jsonrpc: '2.0', id: 4711, result: {} },
    ]) {
      const response = await send({ body: JSON.stringify(body) });
      expect({ status: response.status, text: await response.text() }).toEqual({ status: 202, text: '' });
    }
  });

  it('a session id is visible ASCII, and no two are alike', async () => {
    const other = new RawClient(url);
    await other.open();
    expect(client.sessionId).toMatch(/^[\x21-\x7e]{20,}$/);
    expect(other.sessionId).not.toBe(client.sessionId);
    expect(await other.end()).toBe(200);
  });

  it('after DELETE the session does not exist', async () => {
    const other = new RawClient(url);
    await other.open();
    expect(await other.end()).toBe(200);
    expect((await other.call(1, 'session_counter')).status).toBe(404);
    expect(await other.end()).toBe(404);
    const stream = await other.listen();
    await stream.arrayBuffer();
    expect(stream.status).toBe(404);
  });

  it('an answer that is the first thing to come is one JSON body', async () => {
    const { headers } = await client.call(1, 'echo', { text: 'quick' });
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('set-cookie')).toBe(null);
  });

  it('an answer with something before it is a stream that no intermediary holds back', async () => {
    const { headers } = await client.call(1, 'progress', { n: 1, label: 'x' }, { progressToken: 'x' });
    expect(headers.get('content-type')).toBe('text/event-stream');
    expect(headers.get('x-accel-buffering')).toBe('no');
    expect(headers.get('cache-control')).toContain('no-store');
  });

  it('an answer that takes more than 5 s becomes a stream', async () => {
    const answer = await client.call(1, 'slow', { ms: 5500, label: 'slow' });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(answerText(answer)).toBe('slow done');
  });

  it.each(['application/json', 'text/event-stream'])(
    'a client that accepts only %s gets that',
    async (accept) => {
      const options = { headers: { accept }, progressToken: 7 };
      const answer = await client.call(1, 'progress', { n: 3, label: 'only' }, options);
      expect(answer.headers.get('content-type')).toBe(accept);
      expect(answerText(answer)).toBe('only done');
    },
  );

  it.each(['2025-03-26', '2025-06-18', '2025-11-25'])('revision %s is spoken', async (revision) => {
    const other = new RawClient(url);
    expect((await other.open({}, revision))['protocolVersion']).toBe(revision);
    expect(answerText(await other.call(1, 'echo', { text: 'hello' }))).toBe('hello');
    expect(await other.end()).toBe(200);
  });

  it('a batch of revision 2025-03-26 is answered', async () => {
    const other = new RawClient(url);
    await other.open({}, '2025-03-26');
    const ping = { jsonrpc: '2.0', method: 'ping' };
    const { messages } = await other.post([
      { ...ping, id: 1 },
      { ...ping, id: '1' },
      { ...ping, id: 2 },
    ]);
    expect(messages.map(({ id }) => id)).toEqual(expect.arrayContaining([1, '1', 2]));
    expect(messages).toHaveLength(3);
    expect(await other.end()).toBe(200);
  });

  it('pages of this machine may call, and read the session id', async () => {
    const origin = 'http://localhost:5173';
    const preflight = await send({ method: 'OPTIONS', headers: { origin }, body: '' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Mcp-Session-Id');
    const response = await send({ headers: { origin } });
    await response.arrayBuffer();
    expect(response.headers.get('access-control-allow-origin')).toBe(origin);
    expect(response.headers.get('access-control-expose-headers')).toContain('Mcp-Session-Id');
  });
});

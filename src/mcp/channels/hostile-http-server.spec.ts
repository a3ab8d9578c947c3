import { afterEach, describe, expect, it } from 'vitest';
import {
  HttpUpstream,
  Listener,
  type Received,
  resultOf,
  sendEvent,
  sendJson,
  startStream,
} from '../../../test/support/http-upstream.js';
import { StreamableHttpChannel } from './streamable-http-channel.js';

const LIMIT = 100_000;
let upstream: HttpUpstream;

afterEach(() => upstream.close());

/** What a client gets whose request meets this behaviour. */
async function answerOf(script: (request: Received) => void): Promise<string | undefined> {
  upstream = await HttpUpstream.start(script);
  const listener = new Listener(new StreamableHttpChannel(upstream.endpoint(), LIMIT));
  void listener.say({ id: 1, method: 'tools/call', params: { name: 'x' } });
  await expect
    .poll(() => listener.answersTo(1).length + (listener.closed ? 1 : 0), { timeout: 5000 })
    .toBe(1);
  await listener.channel.close();
  return listener.answerTo(1)?.error?.message ?? listener.closed?.message;
}

function forever(res: Received['res'], chunk: string): void {
  const more = (): void => {
    while (!res.destroyed && res.write(chunk));
    if (!res.destroyed) res.once('drain', more);
  };
  more();
}

describe('a server that does not do what it should', () => {
  it.each<[string, (request: Received) => void, RegExp]>([
    ['refuses', ({ res }) => res.writeHead(500).end(), /HTTP 500/],
    [
      'is not at this path',
      ({ res }) => res.writeHead(404).end(),
      /HTTP 404; do transport\.type and the path/,
    ],
    [
      'wants credentials',
      ({ res }) =>
        res
          .writeHead(401, {
            'www-authenticate': 'Bearer resource_metadata="http://127.0.0.1:1/x"',
            'set-cookie': 'a=b',
          })
          .end(),
      /HTTP 401: it gets no credentials/,
    ],
    ['has nothing to say', ({ res }) => res.writeHead(202).end(), /no content type/],
    [
      'sends a page',
      ({ res }) => res.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
      /text\/html/,
    ],
    ['compresses', ({ res }) => sendJson(res, {}, { 'content-encoding': 'gzip' }), /content-encoding gzip/],
    ['answers with garbage', ({ res }) => sendJson(res, 'hello'), /without having answered/],
    [
      'answers somebody else',
      ({ res }) => sendJson(res, { jsonrpc: '2.0', id: 2, result: {} }),
      /without having answered/,
    ],
    [
      'ends its stream without an answer',
      ({ res }) => {
        startStream(res);
        sendEvent(res, { jsonrpc: '2.0', method: 'notifications/message' });
        res.end();
      },
      /without having answered/,
    ],
    [
      'sends JSON without end',
      ({ res }) => forever(res.writeHead(200, { 'content-type': 'application/json' }), '[[[['.repeat(1000)),
      /body of more than 100000 bytes/,
    ],
    [
      'sends a line without end',
      ({ res }) => {
        startStream(res);
        forever(res, 'data: '.repeat(1000));
      },
      /event of more than 100000 bytes/,
    ],
    [
      'sends garbage events without end',
      ({ res }) => {
        startStream(res);
        forever(res, 'data: x\n\n'.repeat(100));
      },
      /more than 1000 messages in a row/,
    ],
    [
      'breaks off in the midst of its answer',
      ({ res }) => {
        res.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
        res.write('{');
        setImmediate(() => res.destroy());
      },
      /connection to the server broke/,
    ],
    ['closes the connection', ({ res }) => res.socket?.destroy(), /connection to the server broke/],
    [
      'sends a head without end',
      ({ res }) => res.socket?.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(70_000)}`),
      /broke/,
    ],
    ['does not speak HTTP', ({ res }) => res.socket?.write('220 hello\r\n'), /broke/],
    [
      'upgrades',
      ({ res }) => res.socket?.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
      /broke|without an answer/,
    ],
    [
      'gives a session id that no header may hold',
      (request) => sendJson(request.res, resultOf(request), { 'mcp-session-id': 'x'.repeat(2000) }),
      /^never$/,
    ],
  ])('when it %s, the call fails with the reason', async (name, script, message) => {
    const initialize = name.startsWith('gives a session id');
    if (!initialize) {
      expect(await answerOf(script)).toMatch(message);
      return;
    }
    upstream = await HttpUpstream.start(script);
    const listener = new Listener(new StreamableHttpChannel(upstream.endpoint(), LIMIT));
    void listener.say({ id: 1, method: 'initialize' });
    await expect.poll(() => listener.answerTo(1)?.error?.message).toContain('visible ASCII');
  });

  it.each([301, 302, 307, 308])('a redirect (%i) is not followed', async (status) => {
    const elsewhere = await HttpUpstream.start((request) => sendJson(request.res, resultOf(request)));
    const location = `http://127.0.0.1:${elsewhere.port}/`;
    expect(await answerOf(({ res }) => res.writeHead(status, { location }).end())).toContain(
      `redirect (HTTP ${status}), and redirects are not followed`,
    );
    expect(elsewhere.received).toEqual([]);
    await elsewhere.close();
  });

  it('a refusal that holds a JSON-RPC error is the answer, whatever id it has', async () => {
    const text = '{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"Header mismatch"}}';
    expect(
      await answerOf(({ res }) => res.writeHead(400, { 'content-type': 'application/json' }).end(text)),
    ).toBe('Header mismatch');
  });

  it('one that never answers holds up nothing else', async () => {
    upstream = await HttpUpstream.start((request) => {
      if (request.message.id === 2) sendJson(request.res, resultOf(request));
    });
    const listener = new Listener(new StreamableHttpChannel(upstream.endpoint(), LIMIT));
    void listener.say({ id: 1, method: 'tools/call' });
    void listener.say({ id: 2, method: 'tools/call' });
    await expect.poll(() => listener.answerTo(2)).toBeDefined();
    await listener.channel.close();
    await expect.poll(() => upstream.openSockets).toBe(1);
  });

  it('cookies and challenges are not kept', async () => {
    upstream = await HttpUpstream.start((request) =>
      sendJson(request.res, resultOf(request), { 'set-cookie': 'a=b', 'www-authenticate': 'Bearer' }),
    );
    const listener = new Listener(new StreamableHttpChannel(upstream.endpoint(), LIMIT));
    for (const id of [1, 2]) {
      void listener.say({ id, method: 'ping' });
      await expect.poll(() => listener.answerTo(id)).toBeDefined();
    }
    expect(Object.keys(upstream.received[1]?.headers ?? {}).toSorted()).toEqual([
      'accept',
      'connection',
      'content-length',
      'content-type',
      'host',
    ]);
    await listener.channel.close();
  });
});

describe('a request of revision 2026-07-28', () => {
  const META = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
  };

  async function headersFor(method: string, params: object): Promise<Received['headers'] | undefined> {
    upstream = await HttpUpstream.start((request) =>
      sendJson(request.res, resultOf(request), { 'mcp-session-id': 'x' }),
    );
    const listener = new Listener(new StreamableHttpChannel(upstream.endpoint(), LIMIT));
    for (const id of [1, 2]) {
      void listener.say({ id, method, params: { ...params, _meta: META } });
      await expect.poll(() => listener.answerTo(id)).toBeDefined();
    }
    await listener.channel.close();
    expect(upstream.received.map((request) => request.method)).toEqual(['POST', 'POST']);
    return upstream.received[1]?.headers;
  }

  it.each([
    ['tools/list', {}, undefined],
    ['tools/call', { name: 'echo' }, 'echo'],
    ['resources/read', { uri: 'file:///ü' }, '=?base64?ZmlsZTovLy/DvA==?='],
    ['prompts/get', { name: ' padded' }, '=?base64?IHBhZGRlZA==?='],
    ['tasks/get', { taskId: 't1' }, 't1'],
  ])('%s repeats itself in its headers and has no session', async (method, params, name) => {
    const headers = await headersFor(method, params);
    expect(headers).toMatchObject({ 'mcp-protocol-version': '2026-07-28', 'mcp-method': method });
    expect(headers?.['mcp-name']).toBe(name);
    expect(headers).not.toHaveProperty('mcp-session-id');
  });

  it('is cancelled by closing it, and nothing is posted', async () => {
    upstream = await HttpUpstream.start(({ res }) => startStream(res));
    const listener = new Listener(new StreamableHttpChannel(upstream.endpoint(), LIMIT));
    void listener.say({ id: 1, method: 'tools/call', params: { name: 'x', _meta: META } });
    await expect.poll(() => upstream.received.length).toBe(1);
    await listener.say({ method: 'notifications/cancelled', params: { requestId: 1 } });
    await expect.poll(() => upstream.received[0]?.res.destroyed).toBe(true);
    expect(upstream.received).toHaveLength(1);
    expect(listener.heard).toEqual([]);
    await listener.channel.close();
  });

  it('is not found without the session being over', async () => {
    const text = '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}';
    upstream = await HttpUpstream.start(({ res }) => {
      res.writeHead(404, { 'content-type': 'application/json' }).end(text);
    });
    const listener = new Listener(new StreamableHttpChannel(upstream.endpoint(), LIMIT));
    void listener.say({ id: 1, method: 'x/y', params: { _meta: META } });
    await expect.poll(() => listener.answerTo(1)?.error?.code).toBe(-32_601);
    expect(listener.closed).toBeUndefined();
    await listener.channel.close();
  });
});

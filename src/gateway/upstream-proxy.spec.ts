import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Gate } from '../../test/support/gate.js';
import {
  type Received,
  resultOf,
  sendEvent,
  sendJson,
  startStream,
} from '../../test/support/http-upstream.js';
import { MAX_BYTES, ProxyServer } from '../../test/support/proxy-server.js';

let proxy: ProxyServer;

beforeEach(async () => {
  proxy = await ProxyServer.start();
});

afterEach(async () => {
  await proxy.close();
  expect(proxy.faults).toEqual([]);
});

function reply(request: Received): void {
  sendJson(request.res, resultOf(request));
}

describe('headers', () => {
  it('name the trace that the client’s do, or our span in it, and none that is not well-formed', async () => {
    proxy.script = reply;
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const ours = '00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01';
    const message = { jsonrpc: '2.0', id: 1, method: 'tools/call' };
    const send = async (headers: Record<string, string>) => {
      await proxy.send('POST', headers, message);
      const { traceparent: parent, tracestate: state } = proxy.upstream.received.at(-1)?.headers ?? {};
      return [parent, state];
    };
    expect(await send({ traceparent, tracestate: 'a=1' })).toEqual([traceparent, 'a=1']);
    expect(await send({ traceparent })).toEqual([traceparent, undefined]);
    expect(await send({ traceparent: 'garbage', tracestate: 'a=1' })).toEqual([undefined, undefined]);
    proxy.calls.traceWith(({ method }, parent, readName) => {
      expect([method, readName()]).toEqual(['tools/call', 'echo']);
      return { context: { traceparent: ours, tracestate: parent?.tracestate }, end: () => undefined };
    });
    const named = { 'mcp-method': 'tools/call', 'mcp-name': 'echo' };
    expect(await send({ ...named, traceparent, tracestate: 'a=1' })).toEqual([ours, 'a=1']);
    expect(await send(named)).toEqual([ours, undefined]);
  });

  it('of the client reach the server only where they are MCP and nobody else’s business', async () => {
    proxy.script = reply;
    await proxy.send(
      'POST',
      {
        authorization: 'Bearer secret',
        'x-api-key': 'secret',
        cookie: 'a=b',
        origin: 'https://evil.example',
        referer: 'https://evil.example/x',
        forwarded: 'for=1.2.3.4',
        'x-forwarded-for': '1.2.3.4',
        'x-real-ip': '1.2.3.4',
        'cf-connecting-ip': '1.2.3.4',
        via: '1.1 x',
        'proxy-authorization': 'Basic x',
        'accept-encoding': 'gzip',
        te: 'trailers',
        'mcp-session-id': 'ours',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'echo',
        'mcp-param-city': 'Lagos',
      },
      { jsonrpc: '2.0', id: 1, method: 'tools/call' },
    );
    expect(proxy.upstream.received[0]?.headers).toEqual({
      accept: 'application/json, text/event-stream',
      connection: 'keep-alive',
      'content-length': '46',
      'content-type': 'application/json',
      host: `localhost:${proxy.upstream.port}`,
      'mcp-method': 'tools/call',
      'mcp-name': 'echo',
      'mcp-param-city': 'Lagos',
      'mcp-protocol-version': '2026-07-28',
    });
    expect(proxy.upstream.received[0]?.path).toBe('/mcp?a=b');
  });

  it('of the server reach the client only where they are MCP', async () => {
    proxy.script = (request) =>
      sendJson(request.res, resultOf(request), {
        'set-cookie': 'a=b',
        'access-control-allow-origin': '*',
        'access-control-allow-credentials': 'true',
        'www-authenticate': 'Bearer',
        location: 'http://127.0.0.1/',
        server: 'x',
        'x-powered-by': 'x',
        'cache-control': 'public, max-age=999',
        'content-security-policy': 'x',
        'alt-svc': 'h3=":443"',
        'strict-transport-security': 'max-age=1',
        'mcp-session-id': 'theirs',
      });
    const { headers, body } = await proxy.send('POST', {}, { jsonrpc: '2.0', id: 1, method: 'x' });
    expect(Object.keys(headers).toSorted()).toEqual([
      'access-control-allow-origin',
      'cache-control',
      'connection',
      'content-type',
      'date',
      'transfer-encoding',
      'x-content-type-options',
    ]);
    expect(headers).toMatchObject({
      'access-control-allow-origin': 'https://ours.example',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    expect(JSON.parse(body)).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
  });
});

describe('an answer', () => {
  it.each<[string, (request: Received) => void, number, RegExp]>([
    [
      'a page',
      ({ res }) => res.writeHead(200, { 'content-type': 'text/html' }).end('<script>'),
      502,
      /text\/html/,
    ],
    [
      'a page of refusal',
      ({ res }) => res.writeHead(405, { 'content-type': 'text/html' }).end('<p>'),
      405,
      /HTTP 405/,
    ],
    [
      'a refusal',
      ({ res }) => res.writeHead(400, { 'content-type': 'application/json' }).end('{"a":1}'),
      400,
      /\{"a":1\}/,
    ],
    ['a redirect', ({ res }) => res.writeHead(307, { location: 'http://127.0.0.1/' }).end(), 502, /redirect/],
    [
      'a challenge',
      ({ res }) => res.writeHead(401, { 'www-authenticate': 'Bearer' }).end(),
      502,
      /no credentials/,
    ],
    ['compressed', ({ res }) => sendJson(res, {}, { 'content-encoding': 'br' }), 502, /content-encoding br/],
    ['none', ({ res }) => res.socket?.destroy(), 502, /connection to the server broke/],
    ['not HTTP', ({ res }) => res.socket?.end('220 hello\r\n'), 502, /connection to the server broke/],
    [
      'an upgrade',
      ({ res }) => res.socket?.end('HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
      502,
      /without an answer/,
    ],
    [
      'without a body',
      ({ res }) => res.writeHead(202, { 'content-type': 'text/plain' }).end('Accepted'),
      202,
      /^$/,
    ],
  ])('that is %s passes as it should', async (_what, behave, status, body) => {
    proxy.script = behave;
    const answer = await proxy.send('POST', {}, { jsonrpc: '2.0', method: 'notifications/x' });
    expect(answer.status).toBe(status);
    expect(answer.body).toMatch(body);
    expect(answer.headers).not.toHaveProperty('location');
    expect(answer.headers).not.toHaveProperty('www-authenticate');
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  it('of a server that has exited tells how', async () => {
    proxy.script = () => {
      proxy.upstream.lastWords = 'out of cheese';
      proxy.upstream.exit('The server exited with code 7');
    };
    const answer = await proxy.send('POST', {}, { jsonrpc: '2.0', id: 1, method: 'x' });
    expect(answer.status).toBe(502);
    expect(answer.body).toContain('The server exited with code 7. It said:\\nout of cheese');
  });

  it('streams event by event', async () => {
    const gate = new Gate();
    proxy.script = async (request) => {
      startStream(request.res);
      sendEvent(request.res, { jsonrpc: '2.0', method: 'notifications/progress' }, 'e1');
      await gate.wait();
      sendEvent(request.res, resultOf(request), 'e2');
      request.res.end();
    };
    const answer = await proxy.begin('POST', {}, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'x' }))
      .answer;
    expect(answer.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    const [first] = (await once(answer, 'data')) as [Buffer];
    expect(first.toString()).toContain('id: e1');
    gate.open();
    expect(await text(answer)).toContain('id: e2');
  });

  it('is not read further than the client reads', async () => {
    let written = 0;
    const chunk = `: ${'x'.repeat(65_536)}\n\n`;
    proxy.script = ({ res }) => {
      startStream(res);
      const more = (): void => {
        while (!res.destroyed && written < 200e6) {
          written += chunk.length;
          if (!res.write(chunk)) {
            res.once('drain', more);
            return;
          }
        }
      };
      more();
    };
    const { request, answer } = proxy.begin('POST', {}, '{}');
    (await answer).pause();
    let before = -1;
    await expect
      .poll(() => {
        const still = written === before;
        before = written;
        return still;
      })
      .toBe(true);
    expect(written).toBeLessThan(50e6);
    request.destroy();
  });
});

describe('a client that leaves', () => {
  it.each([
    ['before the answer', () => undefined],
    ['in the midst of a stream', ({ res }: Received) => startStream(res)],
  ])('%s ends the request at the server', async (_when, behave) => {
    proxy.script = behave;
    const { request, answer } = proxy.begin('POST', {}, '{}');
    answer.catch(() => undefined);
    await expect.poll(() => proxy.upstream.received.length).toBe(1);
    expect(proxy.counts).toEqual({ leases: 1, handled: 1, calls: 1 });
    request.destroy();
    await expect.poll(() => proxy.upstream.received[0]?.res.destroyed).toBe(true);
    await expect.poll(() => proxy.counts).toEqual({ leases: 0, handled: 0, calls: 0 });
  });

  it('in the midst of its upload ends it', async () => {
    proxy.script = reply;
    const { request, answer } = proxy.begin('POST', { 'content-length': '1000' });
    answer.catch(() => undefined);
    request.write('{');
    await expect.poll(() => proxy.upstream.openSockets).toBe(1);
    request.destroy();
    await expect.poll(() => proxy.upstream.openSockets).toBe(0);
    expect(proxy.counts).toEqual({ leases: 0, handled: 0, calls: 0 });
  });
});

describe('an upload', () => {
  it('that says it is too large is refused before the server sees it', async () => {
    proxy.script = reply;
    const { answer } = proxy.begin(
      'POST',
      { 'content-length': String(MAX_BYTES + 1) },
      Buffer.alloc(MAX_BYTES + 1),
    );
    expect((await answer).statusCode).toBe(413);
    expect(proxy.upstream.received).toEqual([]);
  });

  it('that turns out too large is refused while it comes in', async () => {
    proxy.script = reply;
    const { request, answer } = proxy.begin('POST');
    for (let n = 0; n < 20; n++) request.write(Buffer.alloc(10_000, 'x'));
    const refusal = await answer;
    expect(refusal.statusCode).toBe(413);
    expect(await text(refusal)).toContain('100000 bytes');
    request.destroy();
    await expect.poll(() => proxy.upstream.openSockets).toBe(0);
  });
});

it.each(['GET', 'DELETE', 'PUT'])('%s is refused before the server sees it', async (method) => {
  proxy.script = reply;
  const answer = await proxy.send(method, { 'content-length': '2' }, {});
  expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST' } });
  expect(proxy.upstream.received).toEqual([]);
});

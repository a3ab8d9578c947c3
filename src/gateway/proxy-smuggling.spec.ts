import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resultOf, sendJson } from '../../test/support/http-upstream.js';
import { ProxyServer } from '../../test/support/proxy-server.js';
import { targetOf } from './proxy-target.js';

let proxy: ProxyServer;

beforeEach(async () => {
  proxy = await ProxyServer.start();
  proxy.script = (request) => sendJson(request.res, resultOf(request));
});

afterEach(async () => {
  await proxy.close();
  expect(proxy.faults).toEqual([]);
});

describe('what a client sends', () => {
  it.each(['GET', 'DELETE'])(
    'as the body of a %s reaches no server, where it would stand for a request',
    async (method) => {
      const inner = '{"jsonrpc":"2.0","id":1,"method":"stolen"}';
      const head = 'POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
      const body = `${head}Content-Length: ${inner.length}\r\n\r\n${inner}`;
      const answer = await proxy.begin(method, { 'content-length': String(body.length) }, body).answer;
      expect(answer.statusCode).toBe(405);
      answer.resume();
      await once(answer, 'close');
      const next = await proxy.send('POST', {}, { jsonrpc: '2.0', id: 7, method: 'mine' });
      expect(JSON.parse(next.body)).toMatchObject({ id: 7 });
      expect(proxy.upstream.received.map(({ path, body: got }) => [path, got])).toEqual([
        ['/mcp?a=b', JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'mine' })],
      ]);
    },
  );
});

describe('the path of an endpoint', () => {
  it.each(['//127.0.0.1:9/x', '/\\\\127.0.0.1:9', '/@127.0.0.1:9/', '/a?//b?c=d'])(
    '%j never becomes a host',
    async (path) => {
      const endpoint = { ...proxy.upstream.endpoint(), path };
      expect(targetOf(endpoint).host).toBe(`127.0.0.1:${endpoint.port}`);
      await Promise.resolve();
    },
  );

  it('that begins like a host is asked of the sandbox all the same', async () => {
    const elsewhere = createServer((_req, res) => res.end('secret')).listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    proxy.path = `//127.0.0.1:${(elsewhere.address() as AddressInfo).port}/secret`;
    const { body } = await proxy.send('POST', {}, { jsonrpc: '2.0', id: 1, method: 'x' });
    expect(body).not.toContain('secret');
    expect(proxy.upstream.received).toHaveLength(1);
    elsewhere.close();
  });
});

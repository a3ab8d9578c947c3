import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  initializeResult,
  type Received,
  resultOf,
  sendJson,
  startStream,
} from '../../test/support/http-upstream.js';
import { ProxyServer } from '../../test/support/proxy-server.js';

let proxy: ProxyServer;

beforeEach(async () => {
  proxy = await ProxyServer.start();
});

afterEach(async () => {
  await proxy.close();
  expect(proxy.faults).toEqual([]);
});

function withSession(request: Received, id = 'theirs'): void {
  if (request.message.method === 'initialize') {
    sendJson(request.res, resultOf(request, initializeResult()), { 'mcp-session-id': id });
  } else sendJson(request.res, resultOf(request));
}

const INITIALIZE = { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} };

function initialize(principal = 'p') {
  return proxy.send('POST', { 'x-principal': principal }, INITIALIZE);
}

describe('a session that the server manages', () => {
  it('has an id of ours outside and one of the server inside', async () => {
    proxy.script = withSession;
    const opened = await initialize();
    const ours = String(opened.headers['mcp-session-id']);
    expect(ours).toMatch(/^[\w-]{43}$/);
    const call = await proxy.send(
      'POST',
      { 'x-principal': 'p', 'mcp-session-id': ours },
      { jsonrpc: '2.0', id: 2, method: 'x' },
    );
    expect(call).toMatchObject({ status: 200, headers: { 'mcp-session-id': ours } });
    expect(proxy.upstream.received[1]?.headers['mcp-session-id']).toBe('theirs');
    expect(JSON.stringify(proxy.upstream.received.map(({ headers, body }) => [headers, body]))).not.toContain(
      ours,
    );
    expect(JSON.stringify([opened, call])).not.toContain('theirs');
  });

  it('does not exist for anybody else', async () => {
    proxy.script = withSession;
    const ours = String((await initialize()).headers['mcp-session-id']);
    for (const method of ['POST', 'GET', 'DELETE']) {
      const answer = await proxy.send(method, { 'x-principal': 'other', 'mcp-session-id': ours });
      expect(answer.status).toBe(404);
    }
    expect((await proxy.send('POST', { 'x-principal': 'p', 'mcp-session-id': 'theirs' }, {})).status).toBe(
      404,
    );
    expect(proxy.upstream.received).toHaveLength(1);
  });

  it('holds a place until it is deleted', async () => {
    proxy.script = (request) => {
      if (request.method === 'DELETE') request.res.writeHead(200).end();
      else withSession(request, `theirs-${proxy.upstream.received.length}`);
    };
    const first = String((await initialize()).headers['mcp-session-id']);
    await initialize();
    const third = await initialize();
    expect(third.status).toBe(503);
    expect(third.headers['retry-after']).toBe('10');
    // What the server opened for it is not left behind.
    await expect.poll(() => proxy.upstream.of('DELETE')[0]?.headers['mcp-session-id']).toBe('theirs-3');
    expect(await proxy.send('DELETE', { 'x-principal': 'p', 'mcp-session-id': first })).toMatchObject({
      status: 200,
      body: '',
    });
    expect((await initialize()).status).toBe(200);
    expect((await proxy.send('POST', { 'x-principal': 'p', 'mcp-session-id': first }, {})).status).toBe(404);
  });

  it('is over when the server does not know it any more', async () => {
    proxy.script = (request) => {
      if (request.message.method === 'initialize') withSession(request);
      else request.res.writeHead(404).end();
    };
    const ours = String((await initialize()).headers['mcp-session-id']);
    expect((await proxy.send('POST', { 'x-principal': 'p', 'mcp-session-id': ours }, {})).status).toBe(404);
    expect(proxy.sessions.count('dp_a')).toBe(0);
  });

  it('is ended at the server when ours ends', async () => {
    proxy.script = (request) =>
      request.method === 'DELETE' ? void request.res.writeHead(200).end() : withSession(request);
    const ours = String((await initialize()).headers['mcp-session-id']);
    await proxy.send(
      'POST',
      { 'x-principal': 'p', 'mcp-session-id': ours, 'mcp-protocol-version': '2025-11-25' },
      {},
    );
    await proxy.sessions.closeAll('dp_a');
    expect(proxy.upstream.of('DELETE')[0]?.headers).toMatchObject({
      'mcp-session-id': 'theirs',
      'mcp-protocol-version': '2025-11-25',
    });
    expect(proxy.sessions.count('dp_a')).toBe(0);
  });

  it('is kept busy by requests, and in use by a stream, which holds no lease', async () => {
    proxy.script = (request) => {
      if (request.method === 'GET') startStream(request.res);
      else withSession(request);
    };
    const ours = String((await initialize()).headers['mcp-session-id']);
    const session = proxy.sessions.find(ours, { deploymentId: 'dp_a', principal: 'p' });
    const { request, answer } = proxy.begin('GET', { 'x-principal': 'p', 'mcp-session-id': ours });
    expect((await answer).statusCode).toBe(200);
    expect(proxy.counts.leases).toBe(0);
    expect(session?.connected).toBe(true);
    request.destroy();
    await expect.poll(() => session?.connected).toBe(false);
  });

  it('listens to a bounded number of streams', async () => {
    proxy.script = (request) => {
      if (request.method === 'GET') startStream(request.res);
      else withSession(request);
    };
    const headers = {
      'x-principal': 'p',
      'mcp-session-id': String((await initialize()).headers['mcp-session-id']),
    };
    for (let n = 0; n < 8; n++) expect((await proxy.begin('GET', headers).answer).statusCode).toBe(200);
    expect((await proxy.begin('GET', headers).answer).statusCode).toBe(409);
  });
});

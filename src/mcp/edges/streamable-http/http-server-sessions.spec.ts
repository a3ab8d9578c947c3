import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call, type EdgeServer, initialize, note, startEdge } from '../../../../test/support/edge-server.js';
import { exchange } from '../../../../test/support/http-exchange.js';
import {
  HttpUpstream,
  initializeResult,
  type Received,
  resultOf,
  sendEvent,
  sendJson,
  startStream,
} from '../../../../test/support/http-upstream.js';
import { StreamableHttpChannel } from '../../channels/streamable-http-channel.js';

const MB = 1024 * 1024;
const LIMIT = 16 * MB;

let upstream: HttpUpstream;
let edge: EdgeServer;
/** What the server does with requests that are not about the session itself. */
let script: (request: Received) => void;
/** What it does with a GET. */
let stream: (request: Received) => void;
let theirs: string | undefined;

beforeEach(async () => {
  script = (request) => sendJson(request.res, resultOf(request));
  stream = ({ res }) => startStream(res);
  theirs = 'theirs';
  upstream = await HttpUpstream.start((request) => {
    const { message, method, res } = request;
    if (method === 'GET') stream(request);
    else if (method === 'DELETE') res.writeHead(200).end();
    else if (message.method === 'initialize') {
      const { protocolVersion } = message.params as { protocolVersion: string };
      const headers = theirs === undefined ? {} : { 'mcp-session-id': theirs };
      sendJson(res, resultOf(request, initializeResult(protocolVersion)), headers);
    } else if (message.method === 'notifications/initialized') res.writeHead(202).end();
    else script(request);
  });
  const openChannel = () => Promise.resolve(new StreamableHttpChannel(upstream.endpoint(), LIMIT));
  edge = await startEdge(undefined, { openChannel, maxMessageBytes: LIMIT });
});

afterEach(async () => {
  await edge.close();
  await upstream.close();
  expect(edge.faults).toEqual([]);
  await expect.poll(() => edge.counts).toMatchObject({ leases: 0, handled: 0, calls: 0 });
});

/** A session that has begun, GET stream and all; the headers its requests carry. */
async function open(revision = '2025-11-25'): Promise<{ 'mcp-session-id': string }> {
  const session = await edge.open(revision);
  expect((await edge.ask(note('notifications/initialized'), session)).status).toBe(202);
  await expect.poll(() => upstream.of('GET').length).toBe(1);
  return session;
}

/** Requests that are neither initialize nor initialized. */
function calls(): Received[] {
  return upstream.of('POST').slice(2);
}

describe('a session with a server that speaks Streamable HTTP', () => {
  it('has an id of ours outside and one of the server inside', async () => {
    const session = await open();
    const ours = session['mcp-session-id'];
    expect(ours).toMatch(/^[\w-]{43}$/);
    const answer = await (await edge.ask(call('mine'), session)).whole();
    expect([answer.status, answer.json]).toEqual([200, { jsonrpc: '2.0', id: 'mine', result: {} }]);
    expect(JSON.stringify([answer.headers, answer.text])).not.toContain('theirs');
    expect(calls()[0]?.headers).toMatchObject({
      'mcp-session-id': 'theirs',
      'mcp-protocol-version': '2025-11-25',
    });
    const seen = upstream.received.map(({ headers, path, body }) => [headers, path, body]);
    expect(JSON.stringify(seen)).not.toContain(ours);
  });

  it('does not exist for anybody else, nor under the id of the server', async () => {
    const session = await open();
    const strangers = [
      { ...session, 'x-principal': 'other' },
      { ...session, 'mcp-session-id': 'theirs' },
    ];
    for (const headers of strangers) {
      for (const asked of [edge.ask(call(1), headers), edge.listen(headers), edge.remove(headers)]) {
        expect((await asked).status).toBe(404);
      }
    }
    expect(calls()).toEqual([]);
    expect(upstream.of('DELETE')).toEqual([]);
  });

  it('is ended at the server by the client’s DELETE, as are all when the gateway ends them', async () => {
    const one = await open();
    expect((await edge.remove(one)).status).toBe(200);
    await edge.open();
    await edge.sessions.closeAll('dp_a');
    const headers = { 'mcp-session-id': 'theirs' };
    expect(upstream.of('DELETE').map((request) => request.headers)).toMatchObject([headers, headers]);
  });

  it('tells every call in flight when the server does not know it any more', async () => {
    const session = await open();
    script = ({ message, res }) => {
      if (message.params?.['forget'] === true) res.writeHead(404).end();
    };
    const waiting = edge.ask(call(1), session);
    await expect.poll(() => calls().length).toBe(1);
    const asked = [waiting, edge.ask(call(2, { forget: true }), session)];
    for (const [n, answer] of (await Promise.all(asked)).entries()) {
      expect((await answer.whole()).json).toMatchObject({
        id: n + 1,
        error: { message: 'The server has ended the session (HTTP 404)', data: { code: 'server_exited' } },
      });
    }
  });

  it('of a server that hands out no id is one all the same', async () => {
    theirs = undefined;
    const session = await open();
    expect((await edge.ask(call(1), session)).status).toBe(200);
    expect((await edge.ask(call(1))).status).toBe(400);
    expect((await edge.remove(session)).status).toBe(200);
    expect(calls().map(({ headers }) => headers['mcp-session-id'])).toEqual([undefined]);
    // There is nothing that the server could forget.
    expect(upstream.of('DELETE')).toEqual([]);
  });

  it.each([405, 404])('goes on with a server whose GET is answered with %i', async (status) => {
    stream = ({ res }) => res.writeHead(status).end();
    const session = await open();
    for (let id = 1; id <= 3; id++) expect((await edge.ask(call(id), session)).status).toBe(200);
    expect(upstream.of('GET')).toHaveLength(1);
  });

  it('carries the largest messages both ways', async () => {
    const session = await open();
    const text = 'ü'.repeat(7.9 * MB);
    script = (request) => {
      sendJson(request.res, resultOf(request, { same: request.message.params?.['text'] === text, text }));
    };
    const answer = await (await edge.ask(call(1, { text }), session)).whole();
    const { result } = answer.json as { result: { same: boolean; text: string } };
    expect([result.same, result.text === text]).toEqual([true, true]);
  });

  it('takes batches apart at the revision that has them, and answers with one', async () => {
    const session = await open('2025-03-26');
    const batch = [call('a'), note('notifications/x'), call('b')];
    const answer = await (await edge.ask(JSON.stringify(batch), session)).whole();
    expect(answer.json).toEqual(['a', 'b'].map((id) => ({ jsonrpc: '2.0', id, result: {} })));
    expect(calls()).toHaveLength(3);
  });

  it('lets no challenge, cookie or redirect of the server through', async () => {
    const session = await open();
    const refusals = [
      [401, 'no credentials of clients'],
      [307, 'redirects are not followed'],
    ] as const;
    for (const [status, why] of refusals) {
      const headers = { 'www-authenticate': 'Bearer', location: 'http://127.0.0.1/', 'set-cookie': 'a=b' };
      script = ({ res }) => void res.writeHead(status, headers).end();
      const answer = await (await edge.ask(call(1), session)).whole();
      expect(answer.status).toBe(200);
      expect(answer.json).toMatchObject({ error: { message: expect.stringContaining(why) as string } });
      for (const name of Object.keys(headers)) expect(answer.headers).not.toHaveProperty(name);
    }
  });

  it.each(['GET', 'DELETE'])('keeps the body of a %s from the server', async (method) => {
    const session = await open();
    const inner = JSON.stringify(call('stolen'));
    const body = `POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`;
    const headers = { ...session, 'content-length': String(body.length) };
    const answer = await exchange(edge.port, { method, headers, body });
    expect(answer.status).toBe(200);
    answer.leave();
    expect((await edge.ask(initialize())).status).toBe(200);
    expect(upstream.received.filter((request) => request.body.includes('stolen'))).toEqual([]);
  });
});

describe('a message of such a server', () => {
  const log = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } };

  it('reaches the client on the stream of the call that it is about, and no other', async () => {
    const session = await open();
    const posts = new Map<unknown, Received>();
    script = (request) => void posts.set(request.message.params?.['name'], request);
    const asked = ['first', 'second'].map((name) => edge.ask(call(1, { name }), session));
    await expect.poll(() => posts.size).toBe(2);
    for (const [name, request] of posts) {
      startStream(request.res);
      sendEvent(request.res, { ...log, params: { level: 'info', data: name } });
      sendEvent(request.res, { jsonrpc: '2.0', id: 7, method: 'ping' });
      request.res.end(`data: ${JSON.stringify(resultOf(request))}\n\n`);
    }
    const streams = await Promise.all(asked.map(async (answer) => (await answer).whole()));
    expect(streams.map(({ messages }) => messages.map(({ params, method }) => params ?? method))).toEqual([
      [{ level: 'info', data: 'first' }, 'ping', undefined],
      [{ level: 'info', data: 'second' }, 'ping', undefined],
    ]);
  });

  it('that is about a call whose client takes nothing but the answer reaches its GET stream', async () => {
    const session = await open();
    const listening = await edge.listen(session);
    const posts: Received[] = [];
    script = (request) => void posts.push(request);
    const asked = [
      edge.ask(call(1, { plain: true }), { ...session, accept: 'application/json' }),
      edge.ask(call(2), session),
    ];
    await expect.poll(() => posts.length).toBe(2);
    const first = posts.find(({ message }) => message.params?.['plain'] === true);
    if (first) {
      startStream(first.res);
      sendEvent(first.res, log);
    }
    await listening.until(() => listening.messages.length > 0);
    expect(listening.messages).toEqual([log]);
    for (const request of posts) {
      const answer = `data: ${JSON.stringify(resultOf(request))}\n\n`;
      if (request.res.headersSent) request.res.end(answer);
      else sendJson(request.res, resultOf(request));
    }
    for (const answer of asked) expect((await (await answer).whole()).type).toContain('application/json');
    listening.leave();
  });

  it('that is about none reaches the client on its GET stream, though a call is in flight', async () => {
    const session = await open();
    const listening = await edge.listen(session);
    script = () => undefined;
    const asked = edge.ask(call(1), session);
    await expect.poll(() => calls().length).toBe(1);
    const [get] = upstream.of('GET');
    if (get) sendEvent(get.res, log);
    await listening.until(() => listening.messages.length > 0);
    expect(listening.messages).toEqual([log]);
    const [request] = calls();
    if (request) sendJson(request.res, resultOf(request));
    expect((await (await asked).whole()).json).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    listening.leave();
  });
});

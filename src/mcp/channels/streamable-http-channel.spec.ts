import { afterEach, describe, expect, it } from 'vitest';
import { Gate } from '../../../test/support/gate.js';
import {
  HttpUpstream,
  Listener,
  type Received,
  resultOf,
  sendEvent,
  sendJson,
  startStream,
  withSession,
} from '../../../test/support/http-upstream.js';
import { StreamableHttpChannel } from './streamable-http-channel.js';

let upstream: HttpUpstream;

afterEach(() => upstream.close());

async function connect(script: (request: Received) => void): Promise<Listener> {
  upstream = await HttpUpstream.start(script);
  return new Listener(new StreamableHttpChannel(upstream.endpoint(), 10_000));
}

async function open(...scripts: Parameters<typeof withSession>): Promise<Listener> {
  const listener = await connect(withSession(...scripts));
  void listener.say({ id: 0, method: 'initialize', params: {} });
  await expect.poll(() => listener.answerTo(0)).toBeDefined();
  await listener.say({ method: 'notifications/initialized' });
  await expect.poll(() => upstream.of('GET').length).toBe(1);
  return listener;
}

describe('a session with a Streamable HTTP server', () => {
  it('is opened, kept and ended as the revisions with a handshake say', async () => {
    const listener = await open((request) => sendJson(request.res, resultOf(request)));
    await listener.say({ id: 1, method: 'ping' });
    await expect.poll(() => listener.answerTo(1)).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    await listener.channel.close();
    expect(upstream.received.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /mcp?a=b',
      'POST /mcp?a=b',
      'GET /mcp?a=b',
      'POST /mcp?a=b',
      'DELETE /mcp?a=b',
    ]);
    const [initialize, ...others] = upstream.received;
    expect(initialize?.headers).toMatchObject({
      host: `localhost:${upstream.port}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
    });
    expect(initialize?.headers).not.toHaveProperty('mcp-session-id');
    for (const { headers } of others) {
      expect(headers).toMatchObject({
        'mcp-session-id': 'their-session',
        'mcp-protocol-version': '2025-11-25',
      });
    }
    await expect.poll(() => upstream.openSockets).toBeLessThanOrEqual(2);
    expect(listener.closed).toEqual({ cause: 'ended', message: 'The session has ended' });
  });

  it.each([405, 404])('goes on without a GET stream where the server has none (%i)', async (status) => {
    const listener = await open(
      (request) => sendJson(request.res, resultOf(request)),
      ({ res }) => res.writeHead(status).end(),
    );
    await listener.say({ id: 1, method: 'ping' });
    await expect.poll(() => listener.answerTo(1)).toBeDefined();
    expect(listener.closed).toBeUndefined();
  });

  it.each([
    ['is there', 200],
    ['is refused', 405],
  ])('is heard from the moment its stream %s', async (_, status) => {
    const gate = new Gate();
    const listener = await open(
      (request) => sendJson(request.res, resultOf(request)),
      ({ res }) => {
        void gate.wait().then(() => (status === 200 ? startStream(res) : res.writeHead(status).end()));
      },
    );
    let isHeard = false;
    const heard = listener.channel.untilHeard()?.then(() => (isHeard = true));
    await listener.say({ id: 1, method: 'ping' });
    await expect.poll(() => listener.answerTo(1)).toBeDefined();
    expect(isHeard).toBe(false);
    gate.open();
    await heard;
    expect(isHeard).toBe(true);
    expect(listener.channel.untilHeard()).toBeUndefined();
  });

  it('says nothing before the server has taken notifications/initialized', async () => {
    const gate = new Gate();
    const script = withSession((request) => sendJson(request.res, resultOf(request)));
    const listener = await connect((request) => {
      if (request.message.method !== 'notifications/initialized') script(request);
      else void gate.wait().then(() => request.res.writeHead(202).end());
    });
    void listener.say({ id: 0, method: 'initialize' });
    await expect.poll(() => listener.answerTo(0)).toBeDefined();
    void listener.say({ method: 'notifications/initialized' });
    void listener.say({ id: 1, method: 'ping' });
    await expect.poll(() => upstream.received.length).toBe(2);
    expect(listener.answerTo(1)).toBeUndefined();
    gate.open();
    await expect.poll(() => listener.answerTo(1)).toBeDefined();
  });

  it('hears a stream in order: what comes before an answer, the answer, and requests of the server', async () => {
    const listener = await open((request) => {
      startStream(request.res);
      sendEvent(request.res, { jsonrpc: '2.0', method: 'notifications/progress', params: { progress: 1 } });
      sendEvent(request.res, { jsonrpc: '2.0', id: 7, method: 'roots/list' });
      sendEvent(request.res, resultOf(request));
      request.res.end();
    });
    await listener.say({ id: 1, method: 'tools/call' });
    await expect.poll(() => listener.answerTo(1)).toBeDefined();
    expect(listener.heard.slice(1).map(({ id, method }) => method ?? id)).toEqual([
      'notifications/progress',
      'roots/list',
      1,
    ]);
  });

  it('hears what the server says of itself, over as many connections as it takes', async () => {
    let connections = 0;
    const listener = await open(
      () => undefined,
      ({ res }) => {
        connections++;
        startStream(res);
        res.write('retry: 1\n\n');
        sendEvent(
          res,
          { jsonrpc: '2.0', method: 'notifications/message', params: { n: connections } },
          `e${connections}`,
        );
        if (connections < 4) res.end();
      },
    );
    await expect.poll(() => listener.heard.length, { timeout: 5000 }).toBe(5);
    expect(upstream.of('GET').map(({ headers }) => headers['last-event-id'])).toEqual([
      undefined,
      'e1',
      'e2',
      'e3',
    ]);
  });

  it('resumes the stream of an answer where the connection broke', async () => {
    let call: Received | undefined;
    const listener = await open(
      (request) => {
        call = request;
        startStream(request.res);
        request.res.write('id: p1\ndata:\n\n');
        sendEvent(request.res, { jsonrpc: '2.0', method: 'notifications/progress' }, 'p2');
        setImmediate(() => request.res.destroy());
      },
      ({ headers, res }) => {
        startStream(res);
        if (headers['last-event-id'] !== 'p2' || !call) return;
        sendEvent(res, resultOf(call), 'p3');
        res.end();
      },
    );
    await listener.say({ id: 1, method: 'tools/call' });
    await expect
      .poll(() => listener.answersTo(1), { timeout: 5000 })
      .toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
  });

  it('takes each answer once, and none that nobody asked for', async () => {
    const listener = await open((request) => {
      startStream(request.res);
      sendEvent(request.res, { jsonrpc: '2.0', id: 99, result: {} });
      sendEvent(request.res, resultOf(request, { first: true }));
      sendEvent(request.res, resultOf(request, { first: false }));
      request.res.end();
    });
    await listener.say({ id: 1, method: 'tools/call' });
    await listener.say({ id: 2, method: 'tools/call' });
    await expect.poll(() => listener.answerTo(2)).toBeDefined();
    expect(listener.answersTo(1)).toEqual([{ jsonrpc: '2.0', id: 1, result: { first: true } }]);
    expect(listener.answerTo(99)).toBeUndefined();
  });

  it('does not read on while the client has not taken a message', async () => {
    const listener = await open((request) => {
      startStream(request.res);
      for (let n = 0; n < 5; n++) sendEvent(request.res, { jsonrpc: '2.0', method: `n${n}` });
      sendEvent(request.res, resultOf(request));
      request.res.end();
    });
    const gate = new Gate();
    listener.hold = gate.wait();
    await listener.say({ id: 1, method: 'tools/call' });
    await expect.poll(() => listener.heard.length).toBe(2);
    await new Promise(setImmediate);
    expect(listener.heard).toHaveLength(2);
    listener.hold = undefined;
    gate.open();
    await expect.poll(() => listener.answerTo(1)).toBeDefined();
    expect(listener.heard).toHaveLength(7);
  });

  it('closes the request of a call that was cancelled, after the server was told', async () => {
    const listener = await open((request) => {
      if (request.message.method === 'notifications/cancelled') request.res.writeHead(202).end();
      else startStream(request.res);
    });
    void listener.say({ id: 1, method: 'tools/call' });
    await expect.poll(() => upstream.of('POST').length).toBe(3);
    const call = upstream.of('POST')[2];
    await listener.say({ method: 'notifications/cancelled', params: { requestId: 1 } });
    expect(upstream.of('POST')[3]?.message.method).toBe('notifications/cancelled');
    await expect.poll(() => call?.res.destroyed).toBe(true);
    expect(listener.answerTo(1)).toBeUndefined();
  });

  it('bounds how many calls are in flight', async () => {
    const listener = await open(() => undefined);
    for (let id = 1; id <= 200; id++) void listener.say({ id, method: 'tools/call' });
    await expect.poll(() => listener.answerTo(200)?.error?.message).toContain('Too many requests');
    expect(listener.answerTo(100)).toBeUndefined();
  });
});

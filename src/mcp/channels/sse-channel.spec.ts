import { afterEach, describe, expect, it } from 'vitest';
import { Gate } from '../../../test/support/gate.js';
import {
  HttpUpstream,
  Listener,
  type Received,
  resultOf,
  sendEvent,
  startStream,
} from '../../../test/support/http-upstream.js';
import { ServerStopped } from './http-endpoint.js';
import { SseChannel } from './sse-channel.js';

let upstream: HttpUpstream;
const streams: Received['res'][] = [];

afterEach(() => upstream.close());

async function start(location: string | undefined, post: (request: Received) => void): Promise<void> {
  streams.length = 0;
  upstream = await HttpUpstream.start((request) => {
    if (request.method !== 'GET') {
      post(request);
      return;
    }
    startStream(request.res);
    streams.push(request.res);
    if (location !== undefined) request.res.write(`event: endpoint\ndata: ${location}\n\n`);
  });
}

function connect(signal = new AbortController().signal): Promise<SseChannel> {
  return SseChannel.connect(upstream.endpoint('/sse'), 10_000, signal);
}

/** As servers of this transport answer: on the stream. */
function answer(request: Received): void {
  request.res.writeHead(202).end('Accepted');
  const [stream] = streams;
  if (stream && request.message.id !== undefined) sendEvent(stream, resultOf(request));
}

describe('a conversation with an HTTP+SSE server', () => {
  it.each(['/messages?sessionId=1', 'messages?sessionId=1', '?sessionId=1', '../messages?x=%20'])(
    'goes where the server says: %s',
    async (location) => {
      await start(location, answer);
      const listener = new Listener(await connect());
      await listener.say({ id: 1, method: 'ping' });
      await expect.poll(() => listener.answerTo(1)).toBeDefined();
      const { pathname, search } = new URL(location, 'http://x/sse');
      expect(upstream.of('POST')[0]?.path).toBe(`${pathname}${search}`);
      await listener.channel.close();
      await expect.poll(() => streams[0]?.destroyed).toBe(true);
    },
  );

  it('was stopped, and has not exited, when the process was', async () => {
    await start('/messages', answer);
    const listener = new Listener(await connect());
    upstream.gone.abort(new ServerStopped('The server was stopped'));
    upstream.dropAll();
    await expect.poll(() => listener.closed).toEqual({ cause: 'stopped', message: 'The server was stopped' });
  });

  it('may be told an absolute URL of the same origin', async () => {
    await start(undefined, answer);
    const connecting = connect();
    await expect.poll(() => streams.length).toBe(1);
    streams[0]?.write(`event: endpoint\ndata: http://localhost:${upstream.port}/m\n\n`);
    const listener = new Listener(await connecting);
    await listener.say({ id: 1, method: 'ping' });
    expect(upstream.of('POST')[0]?.path).toBe('/m');
    await listener.channel.close();
  });

  it.each([
    'http://127.0.0.1:1/m',
    'http://169.254.169.254/latest',
    '//example.com/m',
    'file:///etc/passwd',
    'http://a b/',
  ])('does not begin when the server sends it elsewhere: %s', async (location) => {
    await start(location, answer);
    await expect(connect()).rejects.toMatchObject({ code: 'server_invalid' });
    expect(upstream.of('POST')).toEqual([]);
  });

  it('does not begin when the endpoint does not come in time', async () => {
    await start(undefined, answer);
    await expect(connect(AbortSignal.timeout(30))).rejects.toMatchObject({ code: 'start_timeout' });
    await expect.poll(() => streams[0]?.destroyed).toBe(true);
  });

  it.each<[string, (request: Received) => void, RegExp]>([
    ['redirects', ({ res }) => res.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(), /redirect/],
    ['has no such path', ({ res }) => res.writeHead(404).end(), /HTTP 404/],
    [
      'answers with JSON',
      ({ res }) => res.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
      /content type/,
    ],
    ['closes the connection', ({ res }) => res.destroy(), /broke/],
  ])('does not begin when the server %s', async (_name, script, message) => {
    upstream = await HttpUpstream.start(script);
    await expect(connect()).rejects.toThrow(message);
  });

  it('ends with the stream', async () => {
    await start('/m', answer);
    const listener = new Listener(await connect());
    streams[0]?.end();
    await expect
      .poll(() => listener.closed)
      .toEqual({ cause: 'exited', message: 'The server ended its event stream' });
  });

  it('ends when an event has no end', async () => {
    await start('/m', answer);
    const listener = new Listener(await connect());
    streams[0]?.write('data: '.repeat(5000));
    await expect.poll(() => listener.closed?.cause).toBe('violated');
    expect(listener.closed?.message).toBe('The server sent an event of more than 10000 bytes');
  });

  it('does not read on while the client has not taken a message', async () => {
    await start('/m', answer);
    const channel = await connect();
    const [stream] = streams;
    for (let n = 0; n < 3; n++) if (stream) sendEvent(stream, { jsonrpc: '2.0', method: `n${n}` });
    const listener = new Listener(channel);
    const gate = new Gate();
    listener.hold = gate.wait();
    await expect.poll(() => listener.heard.length).toBe(1);
    await new Promise(setImmediate);
    expect(listener.heard).toHaveLength(1);
    listener.hold = undefined;
    gate.open();
    await expect.poll(() => listener.heard.length).toBe(3);
    await channel.close();
  });

  it('answers a request that the server refused to take', async () => {
    await start('/m', ({ res }) => res.writeHead(400).end('bad session'));
    const listener = new Listener(await connect());
    await listener.say({ id: 1, method: 'ping' });
    expect(listener.answerTo(1)?.error?.message).toContain('HTTP 400');
    await listener.say({ method: 'notifications/initialized' });
    expect(listener.closed).toBeUndefined();
    await listener.channel.close();
  });

  it('ends with the process, whose last words it tells', async () => {
    await start('/m', answer);
    const listener = new Listener(await connect());
    upstream.lastWords = 'bye';
    upstream.exit('The server exited with code 1');
    await expect.poll(() => listener.closed?.message).toBe('The server exited with code 1. It said:\nbye');
  });
});

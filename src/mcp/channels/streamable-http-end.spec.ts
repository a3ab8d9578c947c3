import { afterEach, describe, expect, it } from 'vitest';
import { Gate } from '../../../test/support/gate.js';
import {
  HttpUpstream,
  Listener,
  resultOf,
  sendJson,
  startStream,
  withSession,
} from '../../../test/support/http-upstream.js';
import { ServerStopped } from './http-endpoint.js';
import { StreamableHttpChannel } from './streamable-http-channel.js';

let upstream: HttpUpstream;

afterEach(() => upstream.close());

async function open(...scripts: Parameters<typeof withSession>): Promise<Listener> {
  upstream = await HttpUpstream.start(withSession(...scripts));
  const listener = new Listener(new StreamableHttpChannel(upstream.endpoint(), 10_000));
  void listener.say({ id: 0, method: 'initialize', params: {} });
  await expect.poll(() => listener.answerTo(0)).toBeDefined();
  await listener.say({ method: 'notifications/initialized' });
  await expect.poll(() => upstream.of('GET').length).toBe(1);
  return listener;
}

describe('a session with a Streamable HTTP server', () => {
  it('is over when the server has forgotten it', async () => {
    const listener = await open(({ res }) => res.writeHead(404).end());
    void listener.say({ id: 1, method: 'tools/list' });
    await expect
      .poll(() => listener.closed)
      .toEqual({
        cause: 'exited',
        message: 'The server has ended the session (HTTP 404)',
      });
    expect(() => listener.say({ id: 2, method: 'ping' })).toThrow('has ended the session');
  });

  it('is over when the server has forgotten it while its GET stream was away', async () => {
    const listener = await open(
      () => undefined,
      ({ res }) => {
        if (upstream.of('GET').length === 1) startStream(res);
        else res.writeHead(404);
        res.end();
      },
    );
    await expect.poll(() => listener.closed?.message).toBe('The server has ended the session (HTTP 404)');
  });

  it.each([
    ['exited', new Error('The server exited with code 7')],
    ['stopped', new ServerStopped('The server was stopped')],
  ])('is over at once when the process is gone (%s), whatever is under way', async (cause, why) => {
    const listener = await open(({ message, res }) => {
      if (message.id === 2) startStream(res);
    });
    void listener.say({ id: 1, method: 'tools/call' });
    void listener.say({ id: 2, method: 'tools/call' });
    void listener.say({ method: 'notifications/never-taken' });
    await expect.poll(() => upstream.of('POST').length).toBe(5);
    // Its connections stay open, as those of a frozen sandbox do.
    upstream.gone.abort(why);
    await expect.poll(() => listener.closed).toEqual({ cause, message: why.message });
    await listener.channel.close();
    await expect.poll(() => upstream.openSockets).toBe(0);
    expect(upstream.of('DELETE')).toEqual([]);
  });

  it('is over when the process exits, with its reason and last words; what it answered before still arrives', async () => {
    const listener = await open((request) => {
      sendJson(request.res, resultOf(request));
      upstream.lastWords = 'out of cheese';
      request.res.on('finish', () => setImmediate(() => upstream.exit('The server exited with code 7')));
    });
    void listener.say({ id: 1, method: 'tools/call' });
    await expect
      .poll(() => listener.closed)
      .toEqual({
        cause: 'exited',
        message: 'The server exited with code 7. It said:\nout of cheese',
      });
    expect(listener.answersTo(1)).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
  });

  it('leaves it to its end to say that the process exited in the midst of a call', async () => {
    const listener = await open((request) => {
      startStream(request.res);
      upstream.lastWords = 'segmentation fault';
      setImmediate(() => upstream.dropAll());
      setTimeout(() => upstream.exit('The server exited with code 139'), 20);
    });
    void listener.say({ id: 1, method: 'tools/call' });
    await expect.poll(() => listener.closed?.message).toContain('exited with code 139');
    expect(listener.closed?.message).toContain('It said:\nsegmentation fault');
    // What looks like an answer would look like a server that works.
    expect(listener.answersTo(1)).toEqual([]);
  });

  it('breaks off what is under way when it ends, and nothing of another session on the same connections', async () => {
    const gate = new Gate();
    const one = await open((request) => {
      if (request.message.method === 'hold')
        void gate.wait().then(() => sendJson(request.res, resultOf(request)));
      else if (request.message.method === 'ping') sendJson(request.res, resultOf(request));
    });
    const two = new Listener(new StreamableHttpChannel(upstream.endpoint(), 10_000));
    for (const listener of [one, two]) {
      void listener.say({ id: 1, method: 'ping' });
      await expect.poll(() => listener.answerTo(1)).toBeDefined();
    }
    void one.say({ id: 2, method: 'never' });
    void two.say({ id: 2, method: 'hold' });
    void one.say({ method: 'notifications/never' });
    await gate.reached;
    await one.channel.close();
    gate.open();
    await expect.poll(() => two.answerTo(2)).toEqual({ jsonrpc: '2.0', id: 2, result: {} });
    await two.channel.close();
  });

  it('ends in bounded time when the server does not take leave', async () => {
    const listener = await open(() => undefined);
    upstream.agent.destroy();
    await Promise.all([listener.channel.close(), listener.channel.close()]);
    expect(listener.closed?.cause).toBe('ended');
  });
});

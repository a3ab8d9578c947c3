import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startStream } from '../../test/support/http-upstream.js';
import { ProxyServer } from '../../test/support/proxy-server.js';

let proxy: ProxyServer;

beforeEach(async () => {
  proxy = await ProxyServer.start();
});

afterEach(async () => {
  await proxy.close();
  expect(proxy.faults).toEqual([]);
});

describe('an event stream', () => {
  it('that breaks off because the server is gone ends in an error to its request, in the middle of an event too', async () => {
    proxy.script = ({ res }) => {
      startStream(res);
      res.write('event: message\ndata: {"half":');
      proxy.upstream.lastWords = 'out of cheese';
      setImmediate(() => {
        proxy.upstream.gone.abort(new Error('The server exited with code 7'));
        res.destroy();
      });
    };
    const { status, body } = await proxy.send(
      'POST',
      {},
      { jsonrpc: '2.0', id: 'mine', method: 'tools/call' },
    );
    expect(status).toBe(200);
    const [, cut, last = ''] =
      /^(.*)\nevent: interrupted\n\nevent: message\ndata: (.*)\n\n$/s.exec(body) ?? [];
    expect(cut).toBe('event: message\ndata: {"half":');
    expect(JSON.parse(last)).toEqual({
      jsonrpc: '2.0',
      id: 'mine',
      error: {
        code: -32000,
        message: 'The server exited with code 7. It said:\nout of cheese',
        data: { code: 'server_exited' },
      },
    });
  });

  it('that breaks off breaks off for the client at once', async () => {
    proxy.script = ({ res }) => startStream(res);
    const answer = await proxy.begin('POST', {}, '{}').answer;
    const ended = new Promise((resolve) => {
      answer.once('close', resolve);
    });
    proxy.upstream.dropAll();
    await ended;
    expect(answer.complete).toBe(false);
  });
});

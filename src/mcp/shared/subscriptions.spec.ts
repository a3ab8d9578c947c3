import { describe, expect, it, vi } from 'vitest';
import { type SharedClient, handshakeServer, startShared } from '../../../test/support/shared-clients.js';

/** A server that agrees to everything, or answers when it is told to. */
function start(agrees = true) {
  const shared = startShared(
    handshakeServer(({ id }, process) => {
      if (agrees && id !== undefined) process.say({ jsonrpc: '2.0', id, result: {} });
    }),
  );
  const { process } = shared;
  const seen = (): unknown[] =>
    process.read
      .filter(({ method }) => method?.startsWith('resources/') === true)
      .map(({ method, params }) => `${method?.slice(10)} ${String(params?.['uri'])}`);
  const update = (uri: string): void =>
    process.say({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } });
  const settle = (answer: object): void =>
    process.say({ jsonrpc: '2.0', id: process.read.at(-1)?.id, ...answer });
  return { ...shared, seen, update, settle };
}

function subscribe(client: SharedClient, uri: unknown, id = 1): void {
  void client.call(id, 'resources/subscribe', { uri });
}

function unsubscribe(client: SharedClient, uri: string, id = 2): void {
  void client.call(id, 'resources/unsubscribe', { uri });
}

const OK = (id: number) => ({ jsonrpc: '2.0', id, result: {} });

describe('subscriptions', () => {
  it('reach the server once, from the first session to the last', () => {
    const { join, seen } = start();
    const [one, two] = [join(), join()];
    for (const client of [one, two, one]) subscribe(client, 'x:a');
    unsubscribe(one, 'x:a');
    unsubscribe(one, 'x:a', 3);
    expect(seen()).toEqual(['subscribe x:a']);
    unsubscribe(two, 'x:a');
    expect(seen()).toEqual(['subscribe x:a', 'unsubscribe x:a']);
    unsubscribe(two, 'x:a', 3);
    subscribe(one, 'x:a', 4);
    expect(seen()).toEqual(['subscribe x:a', 'unsubscribe x:a', 'subscribe x:a']);
    expect(one.heard).toEqual([1, 1, 2, 3, 4].map(OK));
    expect(two.heard).toEqual([1, 2, 3].map(OK));
  });

  it('are what updates go by, those of a part of the resource too', () => {
    const { join, update, server } = start();
    const [one, two] = [join(), join()];
    subscribe(one, 'x:a');
    subscribe(two, 'x:b/');
    subscribe(two, 'x:a/deep');
    one.news();
    two.news();
    for (const uri of ['x:a', 'x:a/deep', 'x:ab', 'x:b', 'x:b/1', 'x:c']) update(uri);
    expect(one.heard.map(({ params }) => params?.['uri'])).toEqual(['x:a', 'x:a/deep']);
    expect(two.heard.map(({ params }) => params?.['uri'])).toEqual(['x:a/deep', 'x:b/1']);
    expect(server.dropped).toBe(3);
  });

  it('of a session that leaves are given back', () => {
    const { join, seen, update } = start();
    const [one, two] = [join(), join()];
    subscribe(one, 'x:a');
    subscribe(one, 'x:b');
    subscribe(two, 'x:b');
    void one.channel.close();
    expect(seen()).toEqual(['subscribe x:a', 'subscribe x:b', 'unsubscribe x:a']);
    two.news();
    update('x:a');
    update('x:b');
    expect(two.heard.map(({ params }) => params?.['uri'])).toEqual(['x:b']);
  });

  it('that the server considers make others wait for its verdict, which all of them get', () => {
    const { join, seen, settle } = start(false);
    const clients = [join(), join()];
    for (const client of clients) subscribe(client, 'x:a');
    expect(seen()).toEqual(['subscribe x:a']);
    const error = { code: -32602, message: 'no such resource' };
    settle({ error });
    for (const client of clients) expect(client.news()).toEqual([{ jsonrpc: '2.0', id: 1, error }]);
    for (const client of clients) subscribe(client, 'x:a');
    settle({ result: { _meta: { n: 1.5 } } });
    for (const client of clients) {
      expect(client.news()).toEqual([{ jsonrpc: '2.0', id: 1, result: { _meta: { n: 1.5 } } }]);
    }
    expect(seen()).toEqual(['subscribe x:a', 'subscribe x:a']);
  });

  it('that were withdrawn, or whose session left, before the server agreed are given back then', () => {
    const { join, seen, settle, update } = start(false);
    const [one, two] = [join(), join()];
    subscribe(one, 'x:a');
    unsubscribe(one, 'x:a');
    expect(one.news()).toEqual([OK(2)]);
    settle({ result: {} });
    expect(one.news()).toEqual([OK(1)]);
    subscribe(two, 'x:b');
    void two.channel.close();
    settle({ result: {} });
    expect(seen()).toEqual(['subscribe x:a', 'unsubscribe x:a', 'subscribe x:b', 'unsubscribe x:b']);
    update('x:a');
    expect(one.heard).toEqual([]);
  });

  it('that the server never answers fail, and leave nothing behind', () => {
    vi.useFakeTimers();
    try {
      const { join, seen } = start(false);
      const one = join();
      subscribe(one, 'x:a');
      vi.advanceTimersByTime(30_000);
      const error = { code: -32000, message: 'The server did not answer within 30 s' };
      expect(one.news()).toEqual([{ jsonrpc: '2.0', id: 1, error }]);
      subscribe(one, 'x:a');
      expect(seen()).toEqual(['subscribe x:a', 'subscribe x:a']);
    } finally {
      vi.useRealTimers();
    }
  });

  it('are bounded, per session and over all, and so is what they name', () => {
    const { join, seen } = start();
    const one = join();
    for (const uri of [undefined, 5, 'x'.repeat(2049)]) subscribe(one, uri);
    expect(one.news().map(({ error }) => error?.code)).toEqual([-32602, -32602, -32602]);
    for (let n = 0; n < 1001; n++) subscribe(one, `x:${n}`);
    expect(one.news().at(-1)?.error?.message).toContain('at most 1000 resources');
    const others = [join(), join(), join(), join()];
    for (const [name, client] of others.entries()) {
      for (let n = 0; n < 1000; n++) subscribe(client, `${name}:${n}`);
    }
    expect(others[3]?.news().at(-1)?.error?.message).toContain('at most 4096 resources');
    subscribe(others[3] ?? one, 'x:0');
    expect(others[3]?.news()).toEqual([OK(1)]);
    expect(seen()).toHaveLength(4096);
  });
});

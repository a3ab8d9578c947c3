import { afterEach, describe, expect, it, vi } from 'vitest';
import { durableSession, INITIALIZE, willing } from '../../../test/support/durable-session.js';
import { Gate } from '../../../test/support/gate.js';
import { handshakeServer } from '../../../test/support/scripted-channel.js';
import type { ReadMessage } from '../../../test/support/scripted-process.js';
import { errorText } from '../jsonrpc/json-rpc.js';

function methods(told: ReadMessage[]): (string | undefined)[] {
  return told.map(({ method }) => method);
}

function paramsText(text = ''): string {
  return text.slice(text.indexOf('"params":'));
}

afterEach(() => {
  vi.useRealTimers();
});

describe('the next process of a session', () => {
  it('is told what its client said, as it was said, then initialized, the log level, the subscriptions, and the request', async () => {
    const client = durableSession();
    client.shakeHands();
    client.call(1, 'logging/setLevel', { level: 'debug' });
    client.call(2, 'logging/setLevel', { level: 'warning', _meta: { own: 1 } });
    for (const uri of ['a:1', 'b:2', 'c:ü"\\']) client.call(3, 'resources/subscribe', { uri });
    client.call(4, 'resources/unsubscribe', { uri: 'b:2' });
    client.channel.exit();
    const answer = await client.ask('next');
    const { told } = client.channel;
    expect(told.map(({ method, params }) => [method, params])).toEqual([
      ['initialize', INITIALIZE],
      ['notifications/initialized', undefined],
      ['logging/setLevel', { level: 'warning', _meta: { own: 1 } }],
      ['resources/subscribe', { uri: 'a:1' }],
      ['resources/subscribe', { uri: 'c:ü"\\' }],
      ['tools/call', {}],
    ]);
    // As text, because parsing would forgive a number written in another way.
    expect(paramsText(client.channel.texts[0])).toBe(paramsText(client.channels[0]?.texts[0]));
    expect(answer.messages).toEqual([{ jsonrpc: '2.0', id: 'next', result: {} }]);
    expect(client.ambient.messages).toEqual([]);
  });

  it('is not told of what the server before it refused, never answered, or was asked to forget', async () => {
    const client = durableSession({
      script: handshakeServer({}, ({ id, params }, channel) => {
        if (id === undefined || params?.['silent'] === true) return;
        const refused = params?.['refuse'] === true;
        channel.say(
          refused
            ? errorText(String(id), { code: -32602, message: 'no' })
            : { jsonrpc: '2.0', id, result: {} },
        );
      }),
    });
    client.shakeHands();
    client.call(1, 'logging/setLevel', { level: 'error' });
    client.call(2, 'logging/setLevel', { level: 'loud', refuse: true });
    client.call(3, 'logging/setLevel', { level: 'debug', silent: true });
    client.call(4, 'resources/subscribe', { uri: 'refused:', refuse: true });
    client.call(5, 'resources/subscribe', { uri: 'silent:', silent: true });
    client.call(6, 'resources/subscribe', { uri: 'kept:' });
    client.call(7, 'resources/unsubscribe', { uri: 'kept:', refuse: true });
    client.call(8, 'resources/subscribe', { uri: `long:${'x'.repeat(4096)}` });
    client.call(9, 'resources/subscribe', { uri: 5 });
    client.channel.exit();
    await client.ask('next');
    expect(client.channel.told.slice(2, -1).map(({ params }) => params)).toEqual([
      { level: 'error' },
      { uri: 'kept:' },
    ]);
  });

  it('is not told of what its client cancelled, and nothing of that is kept', () => {
    const client = durableSession({ script: handshakeServer({}) });
    client.shakeHands();
    for (let n = 0; n < 100; n++) {
      client.call(n, 'resources/subscribe', { uri: `u:${n}` });
      client.tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: n } });
    }
    for (const { id } of client.channel.toldOf('resources/subscribe')) {
      client.channel.say({ jsonrpc: '2.0', id, result: {} });
    }
    expect(client.holder.states.at(-1)?.subscriptions).toEqual([]);
    const { asked } = (client.session as unknown as { memory: { asked: Map<number, unknown> } }).memory;
    expect(asked.size).toBe(0);
  });

  it('is told of 64 KB of subscriptions at most', async () => {
    const client = durableSession();
    client.shakeHands();
    for (let n = 0; n < 20; n++) client.call(n, 'resources/subscribe', { uri: String(n).padEnd(4096, '.') });
    client.channel.exit();
    await client.ask('next');
    expect(client.channel.toldOf('resources/subscribe')).toHaveLength(16);
  });

  it('is asked under ids that no request has, before and after, and their answers reach nobody', async () => {
    const client = durableSession();
    client.shakeHands();
    client.call(1, 'logging/setLevel', { level: 'info' });
    client.call(2, 'resources/subscribe', { uri: 'a:' });
    const seen = client.channel.told.flatMap(({ id }) => (id === undefined ? [] : [id]));
    for (let life = 0; life < 3; life++) {
      client.channel.exit();
      const outlets = [await client.ask(1), await client.ask(1)];
      for (const outlet of outlets) expect(outlet.messages).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
      seen.push(...client.channel.told.flatMap(({ id }) => (id === undefined ? [] : [id])));
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(client.ambient.messages).toEqual([]);
  });

  it('has agreed to the rest before it gets a request, and nobody overtakes those who wait; for 2 s at most', async () => {
    vi.useFakeTimers();
    const client = durableSession({
      script: handshakeServer({}, ({ id, method }, channel) => {
        // Its answer is given by hand.
        if (id !== undefined && (method === 'tools/call' || client.channels.length === 1)) {
          channel.say({ jsonrpc: '2.0', id, result: {} });
        }
      }),
    });
    client.shakeHands();
    client.call(1, 'logging/setLevel', { level: 'error' });
    for (const isAnswered of [true, false]) {
      client.channel.exit();
      const first = client.ask('first');
      await vi.advanceTimersByTimeAsync(0);
      const second = client.ask('second');
      await vi.advanceTimersByTimeAsync(1999);
      expect(methods(client.channel.told).at(-1)).toBe('logging/setLevel');
      const { id } = client.channel.told.at(-1) ?? {};
      if (isAnswered) client.channel.say({ jsonrpc: '2.0', id, result: {} });
      else await vi.advanceTimersByTimeAsync(1);
      expect([(await first).messages, (await second).messages]).toMatchObject([
        [{ id: 'first', result: {} }],
        [{ id: 'second', result: {} }],
      ]);
    }
  });

  it('is heard before it gets a request, for 2 s at most', async () => {
    vi.useFakeTimers();
    const gate = new Gate();
    const client = durableSession({
      reopen: async (open) => Object.assign(open(), { untilHeard: () => gate.wait() }),
    });
    client.shakeHands();
    for (const isHeard of [false, true]) {
      client.channel.exit();
      const asked = client.ask('next');
      await vi.advanceTimersByTimeAsync(1999);
      expect(methods(client.channel.told)).toEqual(['initialize', 'notifications/initialized']);
      if (isHeard) gate.open();
      else await vi.advanceTimersByTimeAsync(1);
      expect((await asked).messages).toMatchObject([{ id: 'next', result: {} }]);
    }
  });

  it('that asks something before it has answered is answered for a ping and declined otherwise; what it tells passes', async () => {
    const client = durableSession({
      script: ({ id, method }, channel) => {
        if (method !== 'initialize') return;
        if (channel !== client.channels[0]) {
          channel.say(
            { jsonrpc: '2.0', id: 'p', method: 'ping' },
            { jsonrpc: '2.0', id: 9, method: 'roots/list' },
            { jsonrpc: '2.0', id: 77, result: {} },
            { jsonrpc: '2.0', method: 'notifications/message', params: { data: 'booting' } },
          );
        }
        channel.say({ jsonrpc: '2.0', id, result: { protocolVersion: '2025-11-25' } });
      },
    });
    client.shakeHands();
    client.channel.exit();
    await client.ask(1);
    expect(client.channel.told.slice(1, 3)).toMatchObject([
      { id: 'p', result: {} },
      { id: 9, error: { code: -32601 } },
    ]);
    expect(client.ambient.messages).toEqual([
      { jsonrpc: '2.0', method: 'notifications/message', params: { data: 'booting' } },
    ]);
  });

  it('that asks something at the first word behind the handshake gets the answer', async () => {
    const client = durableSession({
      script: handshakeServer({}, ({ method }, channel) => {
        if (method !== 'notifications/initialized' || channel === client.channels[0]) return;
        channel.say({ jsonrpc: '2.0', id: 'r', method: 'roots/list' });
      }),
    });
    client.shakeHands();
    client.channel.exit();
    await client.ask(1);
    const [question] = client.ambient.messages;
    expect(question).toMatchObject({ method: 'roots/list' });
    client.tell({ jsonrpc: '2.0', id: question?.['id'], result: { roots: [] } });
    expect(client.channel.told.at(-1)).toEqual({ jsonrpc: '2.0', id: 'r', result: { roots: [] } });
  });
});

describe('a replay', () => {
  it('that is never answered ends in time, and its process with it', async () => {
    vi.useFakeTimers();
    const client = durableSession({
      script: (message, channel) => {
        if (channel === client.channels[0]) willing(message, channel);
      },
    });
    client.shakeHands();
    client.channel.exit();
    const asked = client.ask(1);
    const told = expect(asked).rejects.toMatchObject({
      code: 'start_timeout',
      detail: 'The server did not answer initialize within 10 s',
    });
    await vi.advanceTimersByTimeAsync(9999);
    expect(client.channel.closes).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    await told;
    expect(client.channels.map(({ closes }) => closes)).toEqual([0, 1]);
    expect(vi.getTimerCount()).toBe(0);
    expect(client.session.isAwake).toBe(false);
  });

  it.each([
    ['negotiates another revision', { result: { protocolVersion: '2025-06-18' } }],
    ['negotiates none', { result: {} }],
    ['is refused', { error: { code: -32602, message: 'no' } }],
  ])('that %s is the end of that process, and the client is told why', async (_, answer) => {
    const client = durableSession({
      script: (message, channel) => {
        if (channel === client.channels[0]) willing(message, channel);
        else channel.say({ jsonrpc: '2.0', id: message.id, ...answer });
      },
    });
    client.shakeHands();
    client.channel.exit();
    await expect(client.ask(1)).rejects.toMatchObject({
      code: 'server_invalid',
      detail: 'The server does not go on in revision 2025-11-25, in which the session began',
    });
    expect(methods(client.channel.told)).toEqual(['initialize']);
    expect(client.channel.closes).toBe(1);
    expect(client.session.isAwake).toBe(false);
  });

  it.each([
    'initialize',
    'notifications/initialized',
    'logging/setLevel',
    'resources/subscribe',
    'tools/call',
  ])('whose process exits at %s leaves a session that goes on with the next', async (last) => {
    const client = durableSession({
      script: (message, channel) => {
        willing(message, channel);
        if (channel === client.channels[1] && message.method === last) channel.exit('gone again');
      },
    });
    client.shakeHands();
    client.call(1, 'logging/setLevel', { level: 'info' });
    client.call(2, 'resources/subscribe', { uri: 'a:' });
    client.channel.exit();
    const told = await client.ask('lost').then(
      ({ messages }) => messages.at(-1),
      (error: unknown) => error,
    );
    if (last === 'initialize') expect(told).toMatchObject({ code: 'server_exited', detail: 'gone again' });
    else if (last !== 'tools/call') {
      expect(told).toMatchObject({
        id: 'lost',
        error: { data: { code: 'server_exited' }, message: 'gone again' },
      });
    }
    expect(client.session.isAwake).toBe(false);
    expect((await client.ask('next')).messages).toEqual([{ jsonrpc: '2.0', id: 'next', result: {} }]);
    expect(methods(client.channel.told)).toEqual([
      'initialize',
      'notifications/initialized',
      'logging/setLevel',
      'resources/subscribe',
      'tools/call',
    ]);
  });
});

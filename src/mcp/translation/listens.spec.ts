import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ChannelScript } from '../../../test/support/scripted-channel.js';
import { modernClient } from '../../../test/support/translated-handshake.js';
import { SUBSCRIPTION_ID } from './meta-keys.js';

const EVERYTHING = {
  toolsListChanged: true,
  promptsListChanged: true,
  resourcesListChanged: true,
  resourceSubscriptions: ['a://1', 'a://2', 'a://1'],
};

function changedNote(what: string, params?: object): object {
  return { jsonrpc: '2.0', method: `notifications/${what}/list_changed`, ...(params && { params }) };
}

function updated(uri: unknown): object {
  return { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } };
}

const AGREES: ChannelScript = ({ id, method }, channel) => {
  if (method === 'resources/subscribe') channel.say({ jsonrpc: '2.0', id, result: {} });
};

function listening(notifications: unknown = EVERYTHING, capabilities?: object, script = AGREES) {
  const both = modernClient(script, capabilities && { result: { capabilities } });
  const id = both.client.request('subscriptions/listen', { notifications });
  const subscribed = (): unknown[] =>
    both.server.told
      .filter(({ method }) => method?.startsWith('resources/'))
      .map(({ method, params }) => [method?.slice('resources/'.length), params?.['uri']]);
  return { ...both, id, subscribed };
}

describe('subscriptions/listen', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is acknowledged first, with what the server can tell', () => {
    const { client, id } = listening();
    expect(client.messages).toEqual([
      {
        jsonrpc: '2.0',
        method: 'notifications/subscriptions/acknowledged',
        params: {
          _meta: { [SUBSCRIPTION_ID]: id },
          notifications: { ...EVERYTHING, resourceSubscriptions: ['a://1', 'a://2'] },
        },
      },
    ]);
    const modest = listening(EVERYTHING, { tools: { listChanged: true }, resources: { subscribe: false } });
    expect(modest.client.messages[0]?.params?.['notifications']).toEqual({ toolsListChanged: true });
    expect(modest.subscribed()).toEqual([]);
  });

  it.each([undefined, null, 5, [], 'x', { resourceSubscriptions: 'a' }, { resourceSubscriptions: [1] }])(
    'is refused for %j',
    (notifications) => {
      const { client, id } = listening(notifications ?? null);
      expect(client.messages).toMatchObject([{ id, error: { code: -32602 } }]);
    },
  );

  it('names itself by its id as it was written', () => {
    const { client } = modernClient();
    client.send('{"jsonrpc":"2.0","id":"1","method":"subscriptions/listen","params":{"notifications":{}}}');
    client.send('{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{}}}');
    expect(client.messages.map(({ params }) => params?.['_meta'])).toEqual([
      { [SUBSCRIPTION_ID]: '1' },
      { [SUBSCRIPTION_ID]: 1 },
    ]);
  });

  it('gets what it asked for and nothing else, with its id on it', () => {
    const { server, client, id } = listening({ toolsListChanged: true, resourceSubscriptions: ['a://1'] });
    server.say(
      changedNote('prompts'),
      changedNote('resources'),
      updated('a://2'),
      updated(5),
      updated('a://12'),
    );
    server.say({ jsonrpc: '2.0', method: 'notifications/elicitation/complete', params: {} });
    server.say(changedNote('tools'), changedNote('tools', { x: 1.5, _meta: { k: 1 } }), updated('a://1'));
    expect(client.messages.slice(1)).toEqual([
      changedNote('tools', { _meta: { [SUBSCRIPTION_ID]: id } }),
      changedNote('tools', { x: 1.5, _meta: { [SUBSCRIPTION_ID]: id, k: 1 } }),
      {
        jsonrpc: '2.0',
        method: 'notifications/resources/updated',
        params: { _meta: { [SUBSCRIPTION_ID]: id }, uri: 'a://1' },
      },
    ]);
  });

  it('hears of a part of what it watches', () => {
    const { server, client } = listening({ resourceSubscriptions: ['a://dir'] });
    server.say(updated('a://dir/file'), updated('a://directory'));
    expect(client.messages).toHaveLength(2);
  });

  it('gets each message once per listen', () => {
    const { server, client, id } = listening();
    const other = client.request('subscriptions/listen', { notifications: { toolsListChanged: true } });
    server.say(changedNote('tools'), changedNote('prompts'));
    const told = client.messages.slice(2).map(({ method, params }) => [method, params?.['_meta']]);
    expect(told).toEqual([
      ['notifications/tools/list_changed', { [SUBSCRIPTION_ID]: id }],
      ['notifications/tools/list_changed', { [SUBSCRIPTION_ID]: other }],
      ['notifications/prompts/list_changed', { [SUBSCRIPTION_ID]: id }],
    ]);
  });

  it('subscribes a resource while at least one listen watches it', () => {
    const { client, id, subscribed } = listening({ resourceSubscriptions: ['a://1', 'a://1'] });
    const other = client.request('subscriptions/listen', {
      notifications: { resourceSubscriptions: ['a://1', 'a://2'] },
    });
    const cancel = (requestId: number): void =>
      client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } });
    cancel(id);
    cancel(id);
    expect(subscribed()).toEqual([
      ['subscribe', 'a://1'],
      ['subscribe', 'a://2'],
    ]);
    cancel(other);
    expect(subscribed().slice(2)).toEqual([
      ['unsubscribe', 'a://1'],
      ['unsubscribe', 'a://2'],
    ]);
  });

  it('that is cancelled gets nothing more', () => {
    const { server, client, id } = listening();
    client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    server.say(changedNote('tools'), updated('a://1'));
    expect(client.messages).toHaveLength(1);
    expect(server.toldOf('notifications/cancelled')).toEqual([]);
  });

  it('ends with its result when the conversation ends in good order', async () => {
    const { client, channel, id } = listening();
    await channel.close();
    expect(client.messages.slice(1)).toEqual([
      { jsonrpc: '2.0', id, result: { resultType: 'complete', _meta: { [SUBSCRIPTION_ID]: id } } },
    ]);
    expect(client.closings).toHaveLength(1);
  });

  it('has no result when the server goes', () => {
    const { client, server } = listening();
    server.exit();
    expect(client.messages).toHaveLength(1);
  });

  it('watches no more than 4096 resources with the others together, and is told which', () => {
    const uris = Array.from({ length: 1000 }, (_, n) => `a://${n}`);
    const { client, server, id, subscribed } = listening({ resourceSubscriptions: uris });
    const listen = (): number =>
      client.request('subscriptions/listen', { notifications: { resourceSubscriptions: uris } });
    const honoured = (): unknown => {
      const filter = client.messages.at(-1)?.params?.['notifications'] as Record<string, unknown>;
      return filter['resourceSubscriptions'];
    };
    for (let n = 0; n < 3; n++) listen();
    expect(honoured()).toEqual(uris);
    listen();
    expect(honoured()).toEqual(uris.slice(0, 96));
    listen();
    expect(honoured()).toEqual([]);
    expect(subscribed()).toHaveLength(1000);
    const before = client.messages.length;
    server.say(updated('a://95'), updated('a://96'));
    expect(client.messages).toHaveLength(before + 5 + 4);
    client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    listen();
    expect(honoured()).toEqual(uris);
  });

  it('that watches a resource and what it is a part of hears of it once', () => {
    const { server, client } = listening({ resourceSubscriptions: ['a://d', 'a://d/', 'a://d/e/f'] });
    server.say(updated('a://d/e/f'), updated('a://d/e'), updated('a://d'), updated('a:/'));
    expect(client.messages.slice(1).map(({ params }) => params?.['uri'])).toEqual([
      'a://d/e/f',
      'a://d/e',
      'a://d',
    ]);
  });

  it('under an id that is in use takes the place of the first', () => {
    const { client, subscribed } = listening({});
    const listen = (uri: string): void =>
      client.send({
        jsonrpc: '2.0',
        id: 7,
        method: 'subscriptions/listen',
        params: { notifications: { resourceSubscriptions: [uri] } },
      });
    listen('a://1');
    listen('a://2');
    expect(subscribed()).toEqual([
      ['subscribe', 'a://1'],
      ['unsubscribe', 'a://1'],
      ['subscribe', 'a://2'],
    ]);
  });

  it('does not watch what no server names', () => {
    const { client, subscribed } = listening({ resourceSubscriptions: ['x'.repeat(8193), 'a://1'] });
    expect(client.messages[0]?.params?.['notifications']).toEqual({ resourceSubscriptions: ['a://1'] });
    expect(subscribed()).toEqual([['subscribe', 'a://1']]);
  });

  it('has limits', () => {
    const large = listening({ resourceSubscriptions: ['x'.repeat(1 << 18)] });
    expect(large.client.messages[0]?.error?.message).toContain('262144 characters');
    const { client } = listening({});
    for (let i = 0; i < 100; i++) client.request('subscriptions/listen', { notifications: {} });
    expect(client.messages.at(-1)?.error?.message).toContain('More than 100 subscriptions');
  });

  it('is acknowledged when the server has agreed, and not told anything before', () => {
    const { client, server, id } = listening(EVERYTHING, undefined, () => undefined);
    server.say(changedNote('tools'), updated('a://1'));
    expect(client.messages).toEqual([]);
    const [one, two] = server.toldOf('resources/subscribe');
    server.say({ jsonrpc: '2.0', id: one?.id, result: {} });
    expect(client.messages).toEqual([]);
    server.say({ jsonrpc: '2.0', id: two?.id, result: {} }, updated('a://2'));
    expect(client.messages).toMatchObject([
      { method: 'notifications/subscriptions/acknowledged', params: { _meta: { [SUBSCRIPTION_ID]: id } } },
      { method: 'notifications/resources/updated' },
    ]);
  });

  it('is told which resources the server refused, and the next one asks again', () => {
    const { client, server } = listening(undefined, undefined, ({ id, method, params }, channel) => {
      if (method !== 'resources/subscribe') return;
      const isKnown = params?.['uri'] !== 'a://1';
      channel.say({
        jsonrpc: '2.0',
        id,
        ...(isKnown ? { result: {} } : { error: { code: -1, message: 'no' } }),
      });
    });
    const honoured = { ...EVERYTHING, resourceSubscriptions: ['a://2'] };
    expect(client.messages).toMatchObject([{ params: { notifications: honoured } }]);
    server.say(updated('a://1'));
    client.request('subscriptions/listen', { notifications: EVERYTHING });
    expect(client.messages).toHaveLength(2);
    expect(server.toldOf('resources/subscribe').map(({ params }) => params?.['uri'])).toEqual([
      'a://1',
      'a://2',
      'a://1',
    ]);
  });

  it('does not wait for a server that never answers', () => {
    vi.useFakeTimers();
    const { client, server } = listening(EVERYTHING, undefined, () => undefined);
    vi.advanceTimersByTime(1999);
    expect(client.messages).toEqual([]);
    vi.advanceTimersByTime(1);
    server.say(updated('a://1'));
    expect(client.messages.map(({ method }) => method)).toEqual([
      'notifications/subscriptions/acknowledged',
      'notifications/resources/updated',
    ]);
  });

  it('that is cancelled before the server agrees is not acknowledged', () => {
    vi.useFakeTimers();
    const { client, server, id } = listening(EVERYTHING, undefined, () => undefined);
    client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    for (const { id: asked } of server.toldOf('resources/subscribe')) {
      server.say({ jsonrpc: '2.0', id: asked, result: {} });
    }
    vi.advanceTimersByTime(5000);
    expect(client.messages).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

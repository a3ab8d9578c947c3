import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ReadMessage } from '../../../test/support/scripted-process.js';
import { handshakeClient } from '../../../test/support/translated-modern.js';
import { SUBSCRIPTION_ID } from './meta-keys.js';

const LISTS = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };

function tagged(id: unknown, method: string, params: object = {}): object {
  return { jsonrpc: '2.0', method, params: { ...params, _meta: { [SUBSCRIPTION_ID]: id } } };
}

function updated(id: unknown, uri: unknown): object {
  return tagged(id, 'notifications/resources/updated', { uri });
}

/** A session of a server whose listens are acknowledged by hand. */
function session(capabilities?: object) {
  const both = handshakeClient(undefined, capabilities && { result: { capabilities } });
  const { server, request, told } = both;
  const listens = (): { id: unknown; filter: unknown }[] =>
    server
      .toldOf('subscriptions/listen')
      .map(({ id, params }) => ({ id, filter: params?.['notifications'] }));
  const acknowledge = (n: number, filter = listens()[n]?.filter): void =>
    server.say(
      tagged(listens()[n]?.id, 'notifications/subscriptions/acknowledged', { notifications: filter }),
    );
  const cancelled = (): unknown[] =>
    server.toldOf('notifications/cancelled').map(({ params }) => params?.['requestId']);
  const subscribe = (uri: unknown): number => request('resources/subscribe', { uri });
  const unsubscribe = (uri: unknown): number => request('resources/unsubscribe', { uri });
  const answerTo = (id: number): ReadMessage | undefined => told().find((message) => message.id === id);
  return { ...both, listens, acknowledge, cancelled, subscribe, unsubscribe, answerTo };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a session that listens to a modern server', () => {
  it('asks for what the server offers, as soon as it has begun', () => {
    expect(session().listens()).toMatchObject([{ filter: LISTS }]);
    const modest = session({ tools: { listChanged: true }, resources: {} });
    expect(modest.listens()).toMatchObject([{ filter: { toolsListChanged: true } }]);
    expect(session({ tools: {} }).listens()).toEqual([]);
  });

  it('is told without a trace of the listen', () => {
    const { server, listens, acknowledge, told } = session();
    const id = listens()[0]?.id;
    acknowledge(0);
    server.say(tagged(id, 'notifications/tools/list_changed', { k: 1.5 }));
    expect(told()).toEqual([
      { jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { k: 1.5, _meta: {} } },
    ]);
  });

  it('is told nothing that is not tagged, or with another tag', () => {
    const { server, acknowledge, told } = session();
    acknowledge(0);
    server.say({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    server.say(
      tagged(99, 'notifications/tools/list_changed'),
      tagged('2', 'notifications/tools/list_changed'),
    );
    server.say(tagged(99, 'notifications/subscriptions/acknowledged'));
    expect(told()).toEqual([]);
  });
});

describe('resources/subscribe', () => {
  it('is answered when a listen with the resource is acknowledged', () => {
    const { listens, acknowledge, subscribe, answerTo, cancelled } = session();
    acknowledge(0);
    const id = subscribe('a://1');
    expect(listens()[1]?.filter).toEqual({ ...LISTS, resourceSubscriptions: ['a://1'] });
    expect(answerTo(id)).toBeUndefined();
    expect(cancelled()).toEqual([]);
    acknowledge(1);
    expect(answerTo(id)?.result).toEqual({});
    expect(cancelled()).toEqual([listens()[0]?.id]);
  });

  it('neither loses nor doubles what is told meanwhile', () => {
    const { server, listens, acknowledge, subscribe, told } = session();
    acknowledge(0);
    subscribe('a://1');
    const [first, second] = listens().map(({ id }) => id);
    server.say(tagged(first, 'notifications/tools/list_changed', { n: 1 }));
    server.say(tagged(second, 'notifications/tools/list_changed', { n: 0 }));
    acknowledge(1);
    for (const id of [first, second]) server.say(tagged(id, 'notifications/tools/list_changed', { n: 2 }));
    server.say(updated(second, 'a://1'), updated(first, 'a://1'));
    const heard = told().filter(({ method }) => method !== undefined);
    expect(heard.map(({ params }) => params?.['n'] ?? params?.['uri'])).toEqual([1, 2, 'a://1']);
  });

  it('for many resources at once opens one listen after the other', () => {
    const { listens, acknowledge, subscribe, answerTo } = session();
    const ids = ['a://1', 'a://2', 'a://3'].map(subscribe);
    expect(listens()).toHaveLength(1);
    acknowledge(0);
    expect(listens()).toHaveLength(2);
    expect(ids.map(answerTo)).toEqual([undefined, undefined, undefined]);
    acknowledge(1);
    expect(listens()[1]?.filter).toMatchObject({ resourceSubscriptions: ['a://1', 'a://2', 'a://3'] });
    expect(ids.map((id) => answerTo(id)?.result)).toEqual([{}, {}, {}]);
    expect(listens()).toHaveLength(2);
  });

  it('is answered at once for what is subscribed', () => {
    const { listens, acknowledge, subscribe, answerTo } = session();
    subscribe('a://1');
    acknowledge(0);
    acknowledge(1);
    expect(answerTo(subscribe('a://1'))?.result).toEqual({});
    expect(listens()).toHaveLength(2);
  });

  it('is refused where the server does not honour it, and does not ask again', () => {
    const { listens, acknowledge, subscribe, answerTo } = session();
    acknowledge(0);
    const id = subscribe('a://1');
    acknowledge(1, LISTS);
    expect(answerTo(id)?.error).toMatchObject({ code: -32602 });
    expect(listens()).toHaveLength(2);
  });

  it('is refused with the error of the server, or when it is too late', () => {
    const { server, listens, acknowledge, subscribe, answerTo, cancelled } = session();
    acknowledge(0);
    const refused = subscribe('a://1');
    server.say({ jsonrpc: '2.0', id: listens()[1]?.id, error: { code: -32601, message: 'never' } });
    expect(answerTo(refused)?.error).toEqual({ code: -32601, message: 'never' });
    const late = subscribe('a://2');
    expect(listens()[2]?.filter).toMatchObject({ resourceSubscriptions: ['a://2'] });
    vi.advanceTimersByTime(30_000);
    expect(answerTo(late)?.error?.message).toContain('within 30 s');
    expect(cancelled()).toEqual([listens()[2]?.id]);
    acknowledge(2);
    expect(listens()).toHaveLength(3);
  });

  it('is refused where there is nothing to subscribe to', () => {
    const { subscribe, answerTo } = session({ resources: {} });
    expect(answerTo(subscribe('a://1'))?.error?.message).toContain('no resource subscriptions');
    const other = session();
    expect(other.answerTo(other.subscribe(5))?.error?.code).toBe(-32602);
    expect(other.answerTo(other.subscribe('x'.repeat(9000)))?.error?.message).toContain('8192');
  });

  it('has a limit', () => {
    const { subscribe, answerTo } = session();
    for (let i = 0; i < 999; i++) subscribe(`a://${i}`);
    expect(answerTo(subscribe('a://999'))).toBeUndefined();
    expect(answerTo(subscribe('a://1000'))?.error?.message).toMatch(/More than 1000/);
  });
});

describe('resources/unsubscribe', () => {
  it('is answered at once, and nothing is told of the resource from then on', () => {
    const { server, listens, acknowledge, subscribe, unsubscribe, answerTo, told } = session();
    subscribe('a://1');
    subscribe('a://2');
    acknowledge(0);
    acknowledge(1);
    const id = unsubscribe('a://1');
    expect(answerTo(id)?.result).toEqual({});
    const second = listens()[1]?.id;
    server.say(updated(second, 'a://1'), updated(second, 'a://2'));
    expect(told().filter(({ method }) => method)).toMatchObject([{ params: { uri: 'a://2' } }]);
    expect(listens()[2]?.filter).toMatchObject({ resourceSubscriptions: ['a://2'] });
    expect(answerTo(unsubscribe('a://9'))?.result).toEqual({});
    expect(listens()).toHaveLength(3);
  });

  it('ends the listen when nothing is left of it', () => {
    const { listens, acknowledge, subscribe, unsubscribe, cancelled } = session({
      resources: { subscribe: true },
    });
    expect(listens()).toEqual([]);
    subscribe('a://1');
    expect(listens()[0]?.filter).toEqual({ resourceSubscriptions: ['a://1'] });
    acknowledge(0);
    unsubscribe('a://1');
    expect(cancelled()).toEqual([listens()[0]?.id]);
    expect(listens()).toHaveLength(1);
  });

  it('settles a subscription that is still under way', () => {
    const { acknowledge, subscribe, unsubscribe, answerTo, listens } = session();
    acknowledge(0);
    const id = subscribe('a://1');
    unsubscribe('a://1');
    expect(answerTo(id)?.result).toEqual({});
    acknowledge(1);
    expect(listens()[2]?.filter).toEqual(LISTS);
  });
});

describe('a listen that the server ends', () => {
  it.each([
    ['with its result', (id: unknown): object => ({ jsonrpc: '2.0', id, result: {} })],
    [
      'by a notification',
      (requestId: unknown): object => ({
        jsonrpc: '2.0',
        method: 'notifications/cancelled',
        params: { requestId },
      }),
    ],
  ])('%s is opened again, and not for ever', (_how, end) => {
    const { server, listens, acknowledge, told } = session();
    for (let n = 0; n < 20; n++) {
      acknowledge(n);
      server.say(end(listens()[n]?.id));
      vi.advanceTimersByTime(1000);
    }
    expect(listens()).toHaveLength(11);
    expect(told()).toEqual([]);
  });

  it('with the session leaves no timer', () => {
    const { server, listens, acknowledge } = session();
    acknowledge(0);
    server.say({ jsonrpc: '2.0', id: listens()[0]?.id, result: {} });
    server.exit();
    const opening = session();
    opening.server.exit();
    expect(vi.getTimerCount()).toBe(0);
  });
});

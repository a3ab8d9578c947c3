import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ReadMessage } from '../../../test/support/scripted-process.js';
import { handshakeClient } from '../../../test/support/translated-modern.js';

const FORM = { message: 'Name?', requestedSchema: { type: 'object', properties: {} } };
const ELICIT = { method: 'elicitation/create', params: FORM };
const ARGUMENTS = { name: 't', arguments: { n: 1 } };

/** A session with a call at the server. */
function calling(method = 'tools/call', params: object = ARGUMENTS) {
  const both = handshakeClient(undefined, { result: {} });
  const { server, request, client, told } = both;
  const id = request(method, params, 'tok');
  /** The nth request for the call that the server got, from 0. */
  const attempt = (n: number): ReadMessage | undefined => server.toldOf(method)[n];
  const ask = (inputRequests: unknown, requestState?: unknown, n = 0): void =>
    server.say({
      jsonrpc: '2.0',
      id: attempt(n)?.id,
      result: { resultType: 'input_required', inputRequests, requestState },
    });
  const finish = (n: number, result: object = { resultType: 'complete', content: [] }): void =>
    server.say({ jsonrpc: '2.0', id: attempt(n)?.id, result });
  const reply = (question: unknown, result: unknown): void =>
    client.send({ jsonrpc: '2.0', id: question, result });
  const asked = (): ReadMessage[] => told().filter((message) => message.method !== undefined);
  const answer = (): ReadMessage | undefined =>
    told().find((message) => message.id === id && !message.method);
  return { ...both, id, attempt, ask, finish, reply, asked, answer };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('input_required', () => {
  it('becomes requests to the client, whose answers go with the same request made again', () => {
    const { ask, asked, reply, attempt, finish, answer } = calling();
    ask(
      {
        who: ELICIT,
        what: { method: 'sampling/createMessage', params: { n: 1.5 } },
        where: { method: 'roots/list' },
      },
      's1',
    );
    expect(asked().map(({ method, params }) => ({ method, params }))).toEqual([
      ELICIT,
      { method: 'sampling/createMessage', params: { n: 1.5 } },
      { method: 'roots/list', params: undefined },
    ]);
    const [first, second, third] = asked().map(({ id }) => id);
    reply(third, { roots: [] });
    reply(first, { action: 'accept' });
    expect(attempt(1)).toBeUndefined();
    reply(second, { model: 'm' });
    expect(attempt(1)?.params).toEqual({
      ...ARGUMENTS,
      inputResponses: { where: { roots: [] }, who: { action: 'accept' }, what: { model: 'm' } },
      requestState: 's1',
      _meta: attempt(0)?.params?.['_meta'],
    });
    expect(attempt(1)?.id).not.toBe(attempt(0)?.id);
    finish(1);
    expect(answer()?.result).toEqual({ content: [] });
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(['prompts/get', 'resources/read'])('may answer %s', (method) => {
    const { ask, asked } = calling(method, { uri: 'a://b' });
    ask({ a: ELICIT });
    expect(asked()).toHaveLength(1);
  });

  it('without a state is answered without one', () => {
    const { ask, asked, reply, attempt } = calling();
    ask({ a: ELICIT });
    reply(asked()[0]?.id, { action: 'decline' });
    expect(attempt(1)?.params).not.toHaveProperty('requestState');
    expect(attempt(1)?.params?.['inputResponses']).toEqual({ a: { action: 'decline' } });
  });

  it('with nothing but a state is answered at once', () => {
    const { ask, asked, attempt } = calling();
    ask(undefined, 'later');
    expect(asked()).toEqual([]);
    expect(attempt(1)?.params).toMatchObject({ requestState: 'later' });
    expect(attempt(1)?.params).not.toHaveProperty('inputResponses');
  });

  it('may come ten times, and not more often', () => {
    const { ask, asked, reply, attempt, answer } = calling();
    for (let round = 0; round < 10; round++) {
      ask({ [`q${round}`]: ELICIT }, `s${round}`, round);
      reply(asked()[round]?.id, { round });
      expect(attempt(round + 1)?.params).toMatchObject({
        requestState: `s${round}`,
        inputResponses: { [`q${round}`]: { round } },
      });
    }
    ask({ again: ELICIT }, 's', 10);
    expect(asked()).toHaveLength(10);
    expect(answer()?.error?.message).toContain('more than 10 times');
  });

  it('gives an elicitation by URL the id that it had', () => {
    const { ask, asked } = calling();
    ask({
      a: { method: 'elicitation/create', params: { mode: 'url', url: 'https://a', message: 'm' } },
      b: ELICIT,
    });
    const [url, form] = asked();
    expect(url?.params).toEqual({
      mode: 'url',
      url: 'https://a',
      message: 'm',
      elicitationId: expect.stringMatching(/^[\da-f-]{36}$/),
    });
    expect(form?.params).toEqual(FORM);
  });

  it('keeps the bytes of keys, states and answers', () => {
    const { server, client, attempt, asked } = calling();
    server.say(
      `{"jsonrpc":"2.0","id":${attempt(0)?.id},"result":{"resultType":"input_required","requestState":"\\u0061\\/","inputRequests":{"__proto__":{"method":"roots/list"}}}}`,
    );
    client.send(`{"jsonrpc":"2.0","id":${asked()[0]?.id},"result":{"n":12345678901234567890, "f":1.0}}`);
    expect(server.texts.at(-1)).toContain(
      '"inputResponses":{"__proto__":{"n":12345678901234567890, "f":1.0}}',
    );
    expect(server.texts.at(-1)).toContain('"requestState":"\\u0061\\/"');
  });

  it.each([
    ['nothing', undefined, 'asked for nothing'],
    ['an empty object', {}, 'asked for nothing'],
    [
      'what clients cannot be asked',
      { a: { method: 'tools/call' } },
      '"tools/call", which clients cannot be asked',
    ],
    ['what is no question', { a: 5 }, 'clients cannot be asked'],
    [
      'too much',
      Object.fromEntries(Array.from({ length: 101 }, (_, i) => [i, ELICIT])),
      'more than 100 things at once',
    ],
  ])('that asks for %s ends the call', (_what, requests, message) => {
    const { ask, asked, answer } = calling();
    ask(requests);
    expect(asked()).toEqual([]);
    expect(answer()?.error).toMatchObject({ code: -32603, message: expect.stringContaining(message) });
  });
});

describe('a client that is asked', () => {
  const QUESTIONS = { a: ELICIT, b: ELICIT };

  it.each([
    ['an error', { error: { code: -1, message: 'I refuse' } }, 'I refuse'],
    ['what is no object', { result: 5 }, 'answered with an error'],
  ])('and answers %s, ends the call', (_what, members, message) => {
    const { ask, asked, client, answer, attempt } = calling();
    ask(QUESTIONS);
    const [first, second] = asked().map(({ id }) => id);
    client.send({ jsonrpc: '2.0', id: first, ...members });
    expect(answer()?.error?.message).toContain(message);
    expect(client.messagesOf('notifications/cancelled')).toMatchObject([{ params: { requestId: second } }]);
    client.send({ jsonrpc: '2.0', id: second, result: {} });
    expect(attempt(1)).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('and cancels the call, is asked no more', () => {
    const { ask, asked, client, answer, attempt, id, server } = calling();
    ask(QUESTIONS);
    const questions = asked().map((question) => question.id);
    client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    const withdrawn = client.messagesOf('notifications/cancelled').map(({ params }) => params?.['requestId']);
    expect(withdrawn).toEqual(questions);
    for (const question of questions) client.send({ jsonrpc: '2.0', id: question, result: {} });
    expect(attempt(1)).toBeUndefined();
    expect(answer()).toBeUndefined();
    // The server has nothing in flight that could be cancelled.
    expect(server.toldOf('notifications/cancelled')).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('and does not answer, is told so after ten minutes', () => {
    const { ask, asked, reply, answer, attempt, client } = calling();
    ask(QUESTIONS);
    const [first, second] = asked().map(({ id }) => id);
    reply(first, {});
    vi.advanceTimersByTime(600_000);
    expect(answer()?.error?.message).toContain('within 600 s');
    expect(client.messagesOf('notifications/cancelled')).toMatchObject([{ params: { requestId: second } }]);
    reply(second, {});
    expect(attempt(1)).toBeUndefined();
  });

  it('answers each question once, and what nobody asked not at all', () => {
    const { ask, asked, reply, attempt } = calling();
    ask({ a: ELICIT });
    const question = asked()[0]?.id;
    for (const id of [99, 'x', question, question]) reply(id, {});
    expect(attempt(1)).toBeDefined();
    expect(attempt(2)).toBeUndefined();
  });

  it('may be asked for several calls at once, and each gets its own answers', () => {
    const { server, request, reply, asked, told } = calling();
    const ids = Array.from({ length: 5 }, (_, n) => request('tools/call', { name: `t${n}` }));
    const calls = server.toldOf('tools/call').slice(1);
    for (const { id, params } of calls) {
      const inputRequests = { q: { method: 'elicitation/create', params: { message: params?.['name'] } } };
      server.say({ jsonrpc: '2.0', id, result: { resultType: 'input_required', inputRequests } });
    }
    for (const { id, params } of asked().toReversed()) reply(id, { to: params?.['message'] });
    for (const { id, params } of server.toldOf('tools/call').slice(6)) {
      expect(params?.['inputResponses']).toEqual({ q: { to: params?.['name'] } });
      server.say({ jsonrpc: '2.0', id, result: { name: params?.['name'] } });
    }
    const answers = told().filter(({ method }) => !method);
    expect(answers.map(({ id, result }) => [id, result])).toEqual(
      ids.map((id, n) => [id, { name: `t${n}` }]).toReversed(),
    );
  });

  it('may answer only so much for all calls together, which is given back', () => {
    const { server, request, reply, asked, told, ask, finish, attempt, answer } = calling();
    const half = { text: 'x'.repeat(17 << 20) };
    const other = (): { id: number; questions: unknown[] } => {
      const before = asked().length;
      const id = request('tools/call', { name: 't' });
      server.say({
        jsonrpc: '2.0',
        id: server.toldOf('tools/call').at(-1)?.id,
        result: { resultType: 'input_required', inputRequests: QUESTIONS },
      });
      const questions = asked().slice(before);
      return { id, questions: questions.map((question) => question.id) };
    };
    const errorOf = (id: number): string | undefined =>
      told().find((message) => message.id === id && message.error)?.error?.message;

    ask(QUESTIONS);
    const [first, second] = asked().map(({ id }) => id);
    reply(first, half);
    const refused = other();
    reply(refused.questions[0], half);
    expect(errorOf(refused.id)).toContain('more than 33554432 characters together');
    reply(second, {});
    finish(server.toldOf('tools/call').length - 1);
    expect(attempt(2)?.params).toHaveProperty('inputResponses');
    expect(answer()?.result).toBeDefined();
    const later = other();
    reply(later.questions[0], half);
    expect(errorOf(later.id)).toBeUndefined();
    server.exit();
  });

  it('leaves no timer behind when the server goes', () => {
    const { ask, server } = calling();
    ask(QUESTIONS);
    server.exit();
    expect(vi.getTimerCount()).toBe(0);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  ABLE,
  answersAt,
  CALL,
  calling,
  FORM,
  type InputRequired,
  push,
} from '../../../test/support/asking-call.js';
import { able } from '../../../test/support/channel-user.js';

const HUMAN_MS = 600_000;

function cancelled(requestId: unknown): object {
  return { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } };
}

function progress(progressToken: unknown): object {
  return { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a question of the server during a call', () => {
  it('becomes the answer, and what the client answers with its next request goes back', () => {
    const { server, client, channel, finish, asked, retry, answerOf } = calling();
    server.say(push(7));
    const { resultType, inputRequests, requestState } = asked();
    expect(resultType).toBe('input_required');
    expect(Object.values(inputRequests)).toEqual([{ method: 'elicitation/create', params: FORM }]);
    expect(channel.parkedCalls).toBe(1);
    expect(channel.holds(requestState)).toBe(true);

    const [key = ''] = Object.keys(inputRequests);
    const second = retry(requestState, { [key]: { action: 'accept', content: { n: 1 } }, other: {} });
    expect(answersAt(server)).toEqual([
      { jsonrpc: '2.0', id: 7, result: { action: 'accept', content: { n: 1 } } },
    ]);
    expect(channel.parkedCalls).toBe(0);
    expect(channel.holds(requestState)).toBe(false);
    expect(server.toldOf('tools/call')).toHaveLength(1);
    finish({ content: ['done'] });
    expect(answerOf(second)?.result).toMatchObject({ resultType: 'complete', content: ['done'] });
    expect(client.messages).toHaveLength(2);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(['prompts/get', 'resources/read'])('may come during %s too', (method) => {
    const { server, asked } = calling(ABLE, method);
    server.say(push(7));
    expect(asked().resultType).toBe('input_required');
  });

  it('and others that come at once are asked together', () => {
    const { server, asked, retry, finish, answerOf, pass } = calling();
    server.say(push(1));
    pass(10);
    server.say(push('two', 'sampling/createMessage', { messages: [], maxTokens: 1, tools: [] }));
    server.say({ jsonrpc: '2.0', id: 3, method: 'roots/list' });
    const { inputRequests, requestState } = asked();
    expect(Object.values(inputRequests)).toEqual([
      { method: 'elicitation/create', params: FORM },
      { method: 'sampling/createMessage', params: { messages: [], maxTokens: 1, tools: [] } },
      { method: 'roots/list' },
    ]);
    const responses = Object.keys(inputRequests).map((key, i) => [key, { i }]);
    const second = retry(requestState, Object.fromEntries(responses));
    expect(answersAt(server).map(({ id, result }) => [id, result])).toEqual([
      [1, { i: 0 }],
      ['two', { i: 1 }],
      [3, { i: 2 }],
    ]);
    finish();
    expect(answerOf(second)?.result).toHaveProperty('resultType', 'complete');
  });

  it("is known to the client by the server's id where that is a name", () => {
    const { server, asked } = calling();
    for (const id of ['user_name', '__proto__', 'constructor', 'a b', 'question-9', '']) server.say(push(id));
    const keys = Object.keys(asked().inputRequests);
    expect(keys).toHaveLength(6);
    expect(keys.slice(0, 2)).toEqual(['user_name', 'question-1']);
    expect(keys.slice(1).every((key) => /^question-\d$/.test(key))).toBe(true);
  });

  it('loses what the modern era does not know', () => {
    const { server, asked } = calling();
    const meta = { progressToken: 1, 'io.modelcontextprotocol/related-task': {}, traceparent: 't' };
    const params = { mode: 'url', elicitationId: 'e', url: 'https://a', message: 'm', task: {}, _meta: meta };
    server.say(push(7, 'elicitation/create', params));
    expect(Object.values(asked().inputRequests)[0]?.params).toEqual({
      mode: 'url',
      url: 'https://a',
      message: 'm',
      _meta: { traceparent: 't' },
    });
  });

  it('may be followed by another, round by round, each with a state of its own', () => {
    const { server, asked, retry, finish, answerOf, channel, id } = calling();
    let request = id;
    const states: string[] = [];
    for (let round = 1; round <= 5; round++) {
      server.say(push(round));
      const { inputRequests, requestState } = asked(request);
      states.push(requestState);
      request = retry(
        requestState,
        Object.fromEntries(Object.keys(inputRequests).map((key) => [key, { round }])),
      );
    }
    expect(answersAt(server).map(({ result }) => result)).toEqual(
      [1, 2, 3, 4, 5].map((round) => ({ round })),
    );
    finish();
    expect(answerOf(request)?.result).toHaveProperty('resultType', 'complete');
    expect(new Set(states).size).toBe(5);
    expect(channel.parkedCalls).toBe(0);
  });

  it('that comes while the client is busy with others is asked next', () => {
    const { server, asked, retry, answerOf } = calling();
    server.say(push('first'));
    const { requestState } = asked();
    server.say(push('second'));
    const next = retry(requestState, { first: { action: 'accept' } });
    const answer = answerOf(next)?.result as InputRequired;
    expect(Object.keys(answer.inputRequests)).toEqual(['second']);
    expect(answersAt(server).map(({ id }) => id)).toEqual(['first']);
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['other keys', { c: {} }],
    ['what is no object', { a: 5, b: 'x' }],
    ['a list', [{}]],
  ])('is asked again when the client answers %s', (_what, responses) => {
    const { server, asked, retry, answerOf } = calling();
    server.say(push('a'), push('b'));
    const first = asked();
    const again = answerOf(retry(first.requestState, responses))?.result as InputRequired;
    expect(again.inputRequests).toEqual(first.inputRequests);
    expect(again.requestState).not.toBe(first.requestState);
    expect(answersAt(server)).toEqual([]);
    const rest = answerOf(retry(again.requestState, { b: {} }))?.result as InputRequired;
    expect(Object.keys(rest.inputRequests)).toEqual(['a']);
    retry(rest.requestState, { a: {} });
    expect(answersAt(server).map(({ id }) => id)).toEqual(['b', 'a']);
  });

  it('that the server takes back is asked no more', () => {
    const { server, asked, retry, finish, answerOf, id, pass } = calling();
    server.say(push('a'), cancelled('a'), cancelled('x'));
    pass(1000);
    expect(answerOf(id)).toBeUndefined();
    server.say(push('b'));
    const { requestState } = asked();
    server.say(cancelled('b'));
    const next = retry(requestState, { b: {} });
    expect(answersAt(server)).toEqual([]);
    finish();
    expect(answerOf(next)?.result).toHaveProperty('resultType', 'complete');
  });

  it('need not be answered when the call ends without', () => {
    const { server, finish, answerOf, channel, id } = calling();
    server.say(push('a'));
    finish({ content: ['early'] });
    expect(answerOf(id)?.result).toHaveProperty('content', ['early']);
    const other = calling();
    other.server.say(push('a'));
    const { requestState } = other.asked();
    other.finish({ content: ['late'] });
    expect(other.channel.parkedCalls).toBe(1);
    const next = other.retry(requestState, { a: {} });
    expect(other.answerOf(next)?.result).toMatchObject({ resultType: 'complete', content: ['late'] });
    expect(other.channel.parkedCalls + channel.parkedCalls).toBe(0);
  });

  it('shows progress under the token of the request that waits', () => {
    const { server, client, asked, upstream } = calling();
    server.say(push('a'), progress(upstream));
    const { requestState } = asked();
    server.say(progress(upstream));
    client.request('tools/call', { ...CALL, requestState, inputResponses: { a: {} } }, able(ABLE), 'new');
    server.say(progress(upstream));
    expect(client.messagesOf('notifications/progress')).toEqual([progress('new')]);
  });
});

describe('a call that asks', () => {
  it('and is cancelled before it could, is cancelled at the server with its questions', () => {
    const { server, client, id, upstream, pass } = calling();
    server.say(push('a'));
    client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    expect(server.told.slice(-2)).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: upstream } },
      { id: 'a', error: {} },
    ]);
    pass(HUMAN_MS);
    expect(client.texts).toEqual([]);
  });

  it('leaves no timer behind when the server goes', () => {
    const parked = calling();
    parked.server.say(push('a'));
    parked.asked();
    parked.server.exit();
    const collecting = calling();
    collecting.server.say(push('a'));
    collecting.server.exit();
    expect(vi.getTimerCount()).toBe(0);
    expect(parked.channel.parkedCalls).toBe(0);
  });

  it('gets an error when what it answered meanwhile is too large to be kept', () => {
    const { server, asked, retry, finish, answerOf } = calling();
    server.say(push('a'));
    const { requestState } = asked();
    finish({ content: ['x'.repeat(5 << 20)] });
    expect(answerOf(retry(requestState, {}))?.error?.message).toContain('more than 4194304 characters');
  });
});

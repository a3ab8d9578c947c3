import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  ABLE,
  answersAt,
  CALL,
  calling,
  type InputRequired,
  push,
} from '../../../test/support/asking-call.js';
import { able } from '../../../test/support/channel-user.js';

const HUMAN_MS = 600_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a requestState', () => {
  const refusal = { code: -32602, message: expect.stringContaining('requestState is not valid') };

  it('is good once', () => {
    const { server, asked, retry, answerOf, finish } = calling();
    server.say(push('a'));
    const { requestState } = asked();
    retry(requestState, { a: {} });
    expect(answerOf(retry(requestState, { a: {} }))?.error).toMatchObject(refusal);
    finish();
    expect(answerOf(retry(requestState, { a: {} }))?.error).toMatchObject(refusal);
    expect(answersAt(server)).toHaveLength(1);
  });

  it('of an earlier round is good no more', () => {
    const { server, asked, retry, answerOf } = calling();
    server.say(push('a'));
    const { requestState } = asked();
    const again = answerOf(retry(requestState, {}))?.result as InputRequired;
    expect(answerOf(retry(requestState, { a: {} }))?.error).toMatchObject(refusal);
    retry(again.requestState, { a: {} });
    expect(answersAt(server)).toHaveLength(1);
  });

  it.each([
    ['another tool', { name: 'u', arguments: { a: 1 } }],
    ['other arguments', { name: 't', arguments: { a: 2 } }],
    ['a further member', { ...CALL, more: 1 }],
  ])('is not good for %s', (_what, params) => {
    const { server, asked, retry, answerOf, channel } = calling();
    server.say(push('a'));
    const { requestState } = asked();
    expect(answerOf(retry(requestState, { a: {} }, params))?.error).toMatchObject(refusal);
    expect(channel.parkedCalls).toBe(1);
    retry(requestState, { a: {} }, { arguments: { a: 1 }, name: 't' });
    expect(answersAt(server)).toHaveLength(1);
  });

  it('is not good for another method, principal or channel, and not when it was touched', () => {
    const { server, client, asked, retry, answerOf } = calling();
    server.say(push('a'));
    const { requestState } = asked();
    const other = client.request('prompts/get', { ...CALL, requestState }, able(ABLE));
    expect(answerOf(other)?.error).toMatchObject(refusal);
    for (const forged of [`${requestState}-TAMPERED`, requestState.slice(1), 'x', '']) {
      expect(answerOf(retry(forged, { a: {} }))?.error).toMatchObject(refusal);
    }
    const elsewhere = calling();
    expect(elsewhere.channel.holds(requestState)).toBe(false);
    expect(elsewhere.answerOf(elsewhere.retry(requestState, {}))?.error).toMatchObject(refusal);
  });

  it('has to be a string', () => {
    const { client, answerOf, server } = calling();
    const id = client.request('tools/call', { requestState: 5 }, able(ABLE));
    expect(answerOf(id)?.error).toMatchObject(refusal);
    expect(server.toldOf('tools/call')).toHaveLength(1);
  });

  it('means nothing to methods that cannot ask', () => {
    const { client, server } = calling();
    client.request('tools/list', { requestState: 's' });
    expect(server.toldOf('tools/list')[0]?.params).toHaveProperty('requestState', 's');
  });

  it('expires, and with it the call', () => {
    const { server, asked, pass, retry, answerOf, channel, upstream, finish } = calling();
    server.say(push('a'));
    const { requestState } = asked();
    pass(HUMAN_MS);
    expect(server.told.slice(-2)).toMatchObject([
      { method: 'notifications/cancelled', params: { requestId: upstream } },
      { id: 'a', error: { message: expect.stringContaining('did not answer') } },
    ]);
    expect(channel.parkedCalls).toBe(0);
    expect(channel.holds(requestState)).toBe(false);
    expect(answerOf(retry(requestState, { a: {} }))?.error).toMatchObject(refusal);
    finish();
    expect(vi.getTimerCount()).toBe(0);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ABLE, CALL, calling, type InputRequired } from '../../../test/support/asking-call.js';
import { able } from '../../../test/support/channel-user.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('an error that asks to open URLs', () => {
  const error = {
    code: -32042,
    message: 'first',
    data: { elicitations: [{ mode: 'url', elicitationId: 'e', url: 'https://a/b', message: 'Open it' }] },
  };

  it('becomes a question, after which the request is made again', () => {
    const { server, upstream, asked, retry, answerOf, channel } = calling();
    server.say({ jsonrpc: '2.0', id: upstream, error });
    const { inputRequests, requestState } = asked();
    expect(Object.values(inputRequests)).toEqual([
      { method: 'elicitation/create', params: { mode: 'url', url: 'https://a/b', message: 'Open it' } },
    ]);
    expect(channel.holds(requestState)).toBe(true);
    const [key = ''] = Object.keys(inputRequests);
    const again = answerOf(retry(requestState, {}))?.result as InputRequired;
    expect(again.inputRequests).toEqual(inputRequests);
    const third = retry(again.requestState, { [key]: { action: 'accept' } });
    const [, repeated] = server.toldOf('tools/call');
    expect(repeated?.params).toEqual({ ...CALL, _meta: {} });
    server.say({ jsonrpc: '2.0', id: repeated?.id, result: { content: [] } });
    expect(answerOf(third)?.result).toHaveProperty('resultType', 'complete');
  });

  it('ends the call when the user does not', () => {
    const { server, upstream, asked, retry, answerOf, channel } = calling();
    server.say({ jsonrpc: '2.0', id: upstream, error });
    const { requestState } = asked();
    const next = retry(requestState, { 'url-1': { action: 'decline' } });
    expect(answerOf(next)?.error?.message).toContain('the user did not');
    expect(server.toldOf('tools/call')).toHaveLength(1);
    expect(channel.parkedCalls).toBe(0);
  });

  it('names the capability to a client that cannot', () => {
    const { server, upstream, answerOf, id } = calling({ elicitation: {} });
    server.say({ jsonrpc: '2.0', id: upstream, error });
    expect(answerOf(id)?.error).toMatchObject({
      code: -32021,
      data: { requiredCapabilities: { elicitation: { url: {} } } },
    });
  });

  it('is refused where too many calls wait for their clients', () => {
    const { server, client, answerOf, channel } = calling();
    const ids = Array.from({ length: 101 }, () => client.request('tools/call', CALL, able(ABLE)));
    for (const { id } of server.toldOf('tools/call').slice(1)) server.say({ jsonrpc: '2.0', id, error });
    expect(channel.parkedCalls).toBe(100);
    expect(ids.filter((id) => answerOf(id)?.error)).toEqual(ids.slice(100));
    expect(answerOf(ids[100] ?? 0)?.error?.message).toContain('More than 100 calls');
  });

  it.each([
    undefined,
    5,
    null,
    {},
    { elicitations: [] },
    { elicitations: [{}, null] },
    { elicitations: 'x' },
  ])('is an error of the modern era when its data is %j', (data) => {
    const { server, upstream, answerOf, id } = calling();
    server.say({ jsonrpc: '2.0', id: upstream, error: { code: -32042, message: 'm', data } });
    expect(answerOf(id)?.error).toMatchObject({ code: -32602, message: 'm' });
  });
});

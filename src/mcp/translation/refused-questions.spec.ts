import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ABLE, answersAt, calling, push } from '../../../test/support/asking-call.js';
import { able } from '../../../test/support/channel-user.js';
import { modernClient } from '../../../test/support/translated-handshake.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a client that cannot be asked', () => {
  it.each([
    ['elicitation by form', push(1), { sampling: {}, roots: {}, elicitation: { url: {} } }],
    ['elicitation by URL', push(1, 'elicitation/create', { mode: 'url' }), { elicitation: {} }],
    ['sampling', push(1, 'sampling/createMessage', {}), { elicitation: {} }],
    ['sampling with tools', push(1, 'sampling/createMessage', { tools: [] }), { sampling: {} }],
    ['roots', push(1, 'roots/list', {}), {}],
  ])('is not asked for %s, and the tool goes on without', (what, question, capabilities) => {
    const { server, finish, answerOf, id } = calling(capabilities);
    server.say(question);
    expect(answersAt(server)).toMatchObject([
      { id: 1, error: { code: -32601, message: `The client does not support ${what}` } },
    ]);
    finish({ content: ['without'] });
    expect(answerOf(id)?.result).toMatchObject({ resultType: 'complete', content: ['without'] });
  });

  it('is told what it has to declare when the tool fails without it', () => {
    for (const answer of [
      { result: { isError: true, content: [] } },
      { error: { code: -32603, message: 'm' } },
    ]) {
      const { server, upstream, answerOf, id } = calling({ elicitation: {} });
      server.say(push(1, 'sampling/createMessage', {}), push(2, 'roots/list', {}));
      server.say({ jsonrpc: '2.0', id: upstream, ...answer });
      expect(answerOf(id)?.error).toEqual({
        code: -32021,
        message: 'This needs a client that declares sampling, roots',
        data: { requiredCapabilities: { sampling: {}, roots: {} } },
      });
    }
  });

  it('is still asked for what it has declared', () => {
    const { server, asked } = calling({ sampling: {} });
    server.say(push('e'), push('s', 'sampling/createMessage', {}));
    expect(Object.keys(asked().inputRequests)).toEqual(['s']);
    expect(answersAt(server)).toMatchObject([{ id: 'e', error: { code: -32601 } }]);
  });

  it('is asked for forms when its elicitation names no mode', () => {
    const { server, asked } = calling({ elicitation: {} });
    server.say(push('e'));
    expect(Object.keys(asked().inputRequests)).toEqual(['e']);
  });
});

describe('a question that cannot be attributed', () => {
  it.each([
    ['no call is in flight', []],
    ['two calls are in flight', ['tools/call', 'prompts/get']],
    ['only a list is in flight', ['tools/list']],
  ])('is refused when %s', (_when, methods) => {
    const { server, client } = modernClient();
    for (const method of methods) client.request(method, {}, able(ABLE));
    server.say(push(1));
    vi.advanceTimersByTime(1000);
    expect(answersAt(server)).toMatchObject([{ id: 1, error: { code: -32601 } }]);
    expect(client.texts).toEqual([]);
  });

  it('is not given to another call while one is parked', () => {
    const { server, client, asked } = calling();
    server.say(push(1));
    asked();
    client.request('tools/call', {}, able(ABLE));
    server.say(push(2));
    vi.advanceTimersByTime(1000);
    expect(answersAt(server)).toMatchObject([{ id: 2, error: {} }]);
  });

  it.each(['tasks/list', 'unknown/method'])('is refused when it is %s', (method) => {
    const { server } = calling();
    server.say(push(1, method));
    expect(answersAt(server)).toMatchObject([{ id: 1, error: { code: -32601 } }]);
  });

  it('is refused when the server uses one id twice, or asks without measure', () => {
    const { server, asked } = calling();
    server.say(push('a'), push('a'));
    expect(answersAt(server)).toMatchObject([{ id: 'a', error: {} }]);
    server.say(push('big', 'elicitation/create', { message: 'x'.repeat(4 << 20) }));
    for (let i = 0; i < 120; i++) server.say(push(`n${i}`));
    expect(answersAt(server)).toHaveLength(1 + 1 + 21);
    expect(Object.keys(asked().inputRequests)).toHaveLength(100);
  });
});

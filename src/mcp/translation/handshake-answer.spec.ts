import { describe, expect, it } from 'vitest';
import { handshakeClient } from '../../../test/support/translated-modern.js';
import { SERVER_INFO } from './meta-keys.js';

/** A client's answer to a request of this method, to which the server answers with these members. */
function ask(method: string, answer: string): string {
  const { server, client, request } = handshakeClient();
  const id = request(method);
  server.say(`{"jsonrpc":"2.0","id":${server.toldOf(method)[0]?.id},${answer}}`);
  return client.texts.find((text) => text.startsWith(`{"jsonrpc":"2.0","id":${id},`)) ?? '';
}

function parsed(method: string, answer: string): unknown {
  return JSON.parse(ask(method, answer));
}

describe('an answer for a client of the handshake era', () => {
  it('loses what only the modern era says, and nothing else', () => {
    const meta = `"_meta":{"${SERVER_INFO}":{"name":"n","version":"1"},"k":1.0}`;
    const result = `{"resultType":"complete","ttlMs":5,"contents":[ 1.0 ],"cacheScope":"public",${meta}}`;
    expect(ask('resources/read', `"result":${result}`)).toBe(
      '{"jsonrpc":"2.0","id":2,"result":{"contents":[ 1.0 ],"_meta":{"k":1.0}}}',
    );
  });

  it('of 16 MB passes', () => {
    const big = 'x'.repeat(16 << 20);
    expect(ask('tools/call', `"result":{"resultType":"complete","content":["${big}"]}`)).toContain(big);
  });

  it('is complete where it does not say what it is', () => {
    expect(ask('tools/call', '"result":{"content":[]}')).toContain('"result":{"content":[]}');
  });

  it.each([
    ['task', '{"resultType":"task","taskId":"1"}', 'type "task"'],
    ['none that is known', '{"resultType":5}', 'type "unknown"'],
    ['no object', 'null', 'not an object'],
  ])('that is %s is an error', (_what, result, message) => {
    expect(parsed('tools/call', `"result":${result}`)).toMatchObject({
      error: { code: -32603, message: expect.stringContaining(message) },
    });
  });

  it('asks nothing where the modern era knows no questions', () => {
    const result = '{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}';
    expect(parsed('tools/list', `"result":${result}`)).toMatchObject({ error: { code: -32603 } });
  });

  it.each([
    ['[1]', '[]', [{ type: 'text', text: '[1]' }]],
    ['5', '[{"type":"text","text":"five"}]', [{ type: 'text', text: 'five' }]],
  ])('has structured content that is an object only: %s', (structured, content, expected) => {
    const result = `{"structuredContent":${structured},"content":${content}}`;
    expect(parsed('tools/call', `"result":${result}`)).toMatchObject({ result: { content: expected } });
    expect(ask('tools/call', `"result":${result}`)).not.toContain('structuredContent');
    const object = '{"structuredContent":{"a":1},"content":[]}';
    expect(ask('tools/call', `"result":${object}`)).toContain(object);
  });

  it('has schemas of such content only', () => {
    const tools =
      '[{"name":"a","outputSchema":{"type":"object"}},{"outputSchema":{"type":"array"},"name":"b"}, {"name":"c","outputSchema":{"anyOf":[]}},{"name":"d"}]';
    expect(ask('tools/list', `"result":{"tools":${tools},"nextCursor":"x"}`)).toContain(
      '{"tools":[{"name":"a","outputSchema":{"type":"object"}},{"name":"b"}, {"name":"c"},{"name":"d"}],"nextCursor":"x"}',
    );
  });
});

describe('an error for a client of the handshake era', () => {
  it('says that a resource is not there as that era does', () => {
    const error = '"error":{"code":-32602,"message":"gone","data":{"uri":"a://b"}}';
    expect(parsed('resources/read', error)).toMatchObject({
      error: { code: -32002, message: 'gone', data: { uri: 'a://b' } },
    });
    expect(parsed('tools/call', error)).toMatchObject({ error: { code: -32602 } });
    expect(parsed('resources/read', '"error":{"code":-32602,"message":"m"}')).toMatchObject({
      error: { code: -32602 },
    });
  });

  it('explains which capability is missing', () => {
    const data = '{"requiredCapabilities":{"sampling":{}}}';
    expect(parsed('tools/call', `"error":{"code":-32021,"message":"m","data":${data}}`)).toMatchObject({
      error: {
        code: -32600,
        message: expect.stringContaining('did not declare in initialize: {"sampling":{}}'),
        data: { requiredCapabilities: { sampling: {} } },
      },
    });
  });

  it('does not speak of revisions that its client has not asked for', () => {
    expect(
      parsed('tools/call', '"error":{"code":-32022,"message":"m","data":{"supported":[]}}'),
    ).toMatchObject({
      error: { code: -32603 },
    });
  });

  it('is otherwise what the server said', () => {
    const error = '"error":{"code":-32000,"message":"m","data":[1.0]}';
    expect(ask('tools/call', error)).toBe(`{"jsonrpc":"2.0","id":2,${error}}`);
  });
});

import { describe, expect, it } from 'vitest';
import { modernClient } from '../../../test/support/translated-handshake.js';
import { SERVER_INFO } from './meta-keys.js';

const INFO = { [SERVER_INFO]: { name: 'scripted', version: '1' } };

/** A client's answer to a request of this method, to which the server answers with these members. */
async function ask(method: string, answer: string, params: object = {}): Promise<string> {
  const { server, client } = modernClient();
  const id = client.request(method, params);
  const upstream = String(server.toldOf(method)[0]?.id);
  server.say(`{"jsonrpc":"2.0","id":${upstream},${answer}}`);
  await client.answerTo(id);
  return client.texts[0] ?? '';
}

describe('an answer', () => {
  const meta = `"_meta":${JSON.stringify(INFO)}`;

  it.each([
    ['tools/call', '{"content":[ 1.0 ]}', `{"resultType":"complete",${meta},"content":[ 1.0 ]}`],
    ['completion/complete', '{}', `{"resultType":"complete",${meta}}`],
    [
      'tools/list',
      '{"tools":[]}',
      `{"resultType":"complete","ttlMs":0,"cacheScope":"private",${meta},"tools":[]}`,
    ],
    [
      'resources/read',
      '{"contents":[{}],"ttlMs":99,"resultType":"input_required"}',
      `{"cacheScope":"private",${meta},"contents":[{}],"ttlMs":0,"resultType":"complete"}`,
    ],
  ])('to %s says what results of the modern era say', async (method, result, expected) => {
    expect(await ask(method, `"result":${result}`)).toBe(`{"jsonrpc":"2.0","id":1,"result":${expected}}`);
  });

  it('keeps what the server says in _meta', async () => {
    const own = `{"_meta":{"k":1,"${SERVER_INFO}":{"name":"own","version":"0"}}}`;
    expect(JSON.parse(await ask('tools/call', `"result":${own}`))).toMatchObject({
      result: { _meta: { k: 1, [SERVER_INFO]: { name: 'own', version: '0' } } },
    });
    expect(JSON.parse(await ask('tools/call', '"result":{"_meta":{"k":1}}'))).toMatchObject({
      result: { _meta: { k: 1, ...INFO } },
    });
  });

  it('of 16 MB passes', async () => {
    const big = 'x'.repeat(16 << 20);
    expect(await ask('tools/call', `"result":{"content":["${big}"]}`)).toContain(big);
  });

  it.each(['null', '5', '[]', '"x"'])('%s is no result', async (result) => {
    expect(JSON.parse(await ask('tools/call', `"result":${result}`))).toMatchObject({
      error: { code: -32603 },
    });
  });

  const notFound = { code: -32602, data: { uri: 'a://b' } };
  it.each([
    ['-32002', '"error":{"code":-32002,"message":"gone"}'],
    ['-32602', '"error":{"code":-32602,"message":"gone"}'],
    ['no contents', '"result":{"contents":[ ]}'],
  ])('%s to resources/read says which resource is not there', async (_what, answer) => {
    expect(JSON.parse(await ask('resources/read', answer, { uri: 'a://b' }))).toMatchObject({
      error: notFound,
    });
  });

  it("keeps the server's data about a resource", async () => {
    const error = '"error":{"code":-32002,"message":"gone","data":{"uri":"c://d","n":1}}';
    expect(JSON.parse(await ask('resources/read', error, { uri: 'a://b' }))).toMatchObject({
      error: { code: -32602, message: 'gone', data: { uri: 'c://d', n: 1 } },
    });
  });

  it('passes other errors as they are, and completes those that are none', async () => {
    const error = '{"code":-32000,"message":"m","data":[1.0]}';
    expect(await ask('tools/call', `"error":${error}`)).toBe(`{"jsonrpc":"2.0","id":1,"error":${error}}`);
    expect(JSON.parse(await ask('tools/call', '"error":"boom"'))).toMatchObject({
      error: { code: -32603, message: 'The server did not say why' },
    });
    expect(JSON.parse(await ask('tools/call', '"error":{"code":-32002,"message":"m"}'))).toMatchObject({
      error: { code: -32602, message: 'm' },
    });
  });

  it('to what nobody asked is dropped', () => {
    const { server, client } = modernClient();
    server.say({ jsonrpc: '2.0', id: 1, result: {} }, { jsonrpc: '2.0', id: 'x', result: {} });
    server.say({ jsonrpc: '2.0', id: null, error: { code: 1, message: '' } });
    expect(client.texts).toEqual([]);
  });
});

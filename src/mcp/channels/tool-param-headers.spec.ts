import { afterEach, describe, expect, it } from 'vitest';
import {
  HttpUpstream,
  Listener,
  type Received,
  resultOf,
  sendJson,
} from '../../../test/support/http-upstream.js';
import { modern } from '../../../test/support/modern-request.js';
import { StreamableHttpChannel } from './streamable-http-channel.js';

let upstream: HttpUpstream;

afterEach(() => upstream.close());

const integer = (header: string): object => ({ type: 'integer', 'x-mcp-header': header });
const string = (header: string): object => ({ type: 'string', 'x-mcp-header': header });
const SCHEMA = {
  type: 'object',
  properties: {
    region: string('Region'),
    n: integer('N'),
    on: { type: 'boolean', 'x-mcp-header': 'On' },
    deep: { type: 'object', properties: { text: string('Deep-Text') } },
  },
};
const tools = (inputSchema: object = SCHEMA): object => ({ tools: [{ name: 'echo', inputSchema }] });

type Answers = Record<string, (request: Received) => void>;

async function connect(answers: Answers = {}): Promise<Listener> {
  upstream = await HttpUpstream.start((request) => {
    const answer = answers[request.message.method ?? ''];
    if (answer) answer(request);
    else sendJson(request.res, resultOf(request, request.message.method === 'tools/list' ? tools() : {}));
  });
  return new Listener(new StreamableHttpChannel(upstream.endpoint(), 10_000_000));
}

async function call(listener: Listener, id: number, args?: object): Promise<void> {
  await listener.say(modern(id, 'tools/call', { name: 'echo', ...(args && { arguments: args }) }));
  await expect.poll(() => listener.answerTo(id)).toBeDefined();
}

const of = (method: string): Received[] =>
  upstream.received.filter(({ message }) => message.method === method);

function paramsOf(request: Received | undefined): Record<string, unknown> {
  const headers = Object.entries(request?.headers ?? {});
  return Object.fromEntries(headers.filter(([name]) => name.startsWith('mcp-param-')));
}

describe('the headers Mcp-Param-… of a tool call', () => {
  it('say what its arguments say, encoded where a header cannot hold it', async () => {
    const listener = await connect();
    await call(listener, 1, { region: 'eu-west', n: -5, on: true, deep: { text: ' Zürich ' } });
    const encoded = Buffer.from(' Zürich ').toString('base64');
    expect(paramsOf(of('tools/call')[0])).toEqual({
      'mcp-param-region': 'eu-west',
      'mcp-param-n': '-5',
      'mcp-param-on': 'true',
      'mcp-param-deep-text': `=?base64?${encoded}?=`,
    });
    await call(listener, 2, { region: null, n: {}, deep: { text: '' } });
    expect(paramsOf(of('tools/call')[1])).toEqual({ 'mcp-param-deep-text': '=?base64??=' });
    await call(listener, 3);
    expect(paramsOf(of('tools/call')[2])).toEqual({});
  });

  it('keep the digits of a number', async () => {
    const listener = await connect();
    const text = JSON.stringify(modern(1, 'tools/call', { name: 'echo', arguments: { n: 0 } }));
    void listener.channel.send(text.replace('"n":0', '"n":12345678901234567890'));
    await expect.poll(() => listener.answerTo(1)).toBeDefined();
    expect(paramsOf(of('tools/call')[0])).toEqual({ 'mcp-param-n': '12345678901234567890' });
  });

  it('are learnt from a list that passes', async () => {
    const listener = await connect();
    await listener.say(modern(1, 'tools/list'));
    await expect.poll(() => listener.answerTo(1)).toBeDefined();
    await call(listener, 2, { n: 1 });
    expect(paramsOf(of('tools/call')[0])).toEqual({ 'mcp-param-n': '1' });
    expect(of('tools/list')).toHaveLength(1);
  });

  it('are asked for once, of all pages, where no list has passed, which the client hears nothing of', async () => {
    const listener = await connect({
      'tools/list': (request) => {
        const page =
          request.message.params?.['cursor'] === 'two' ? tools() : { tools: [], nextCursor: 'two' };
        sendJson(request.res, resultOf(request, page));
      },
    });
    await Promise.all([1, 2, 3].map((id) => call(listener, id, { n: id })));
    expect(of('tools/call').map((request) => paramsOf(request)['mcp-param-n'])).toEqual(
      expect.arrayContaining(['1', '2', '3']),
    );
    expect(of('tools/list')).toHaveLength(2);
    expect(of('tools/list')[0]?.headers).toMatchObject({ 'mcp-method': 'tools/list' });
    expect(new Set(listener.heard.map(({ id }) => id))).toEqual(new Set([1, 2, 3]));
  });

  it.each([
    ['refuses to list', ({ res }: Received) => void res.writeHead(500).end()],
    ['breaks off', ({ res }: Received) => void res.destroy()],
    [
      'lists nonsense',
      (request: Received) => sendJson(request.res, resultOf(request, { tools: 'x-mcp-header' })),
    ],
  ])('are none where the server %s, which it is asked for once', async (_what, list) => {
    const listener = await connect({ 'tools/list': list });
    await call(listener, 1, { n: 1 });
    await call(listener, 2, { n: 1 });
    expect(of('tools/call').map(paramsOf)).toEqual([{}, {}]);
    expect(of('tools/list')).toHaveLength(1);
    expect(listener.heard.map(({ id }) => id)).toEqual([1, 2]);
  });

  it('are those of the latest list', async () => {
    const lists = [tools(), tools({ type: 'object' })];
    const listener = await connect({
      'tools/list': (request) => sendJson(request.res, resultOf(request, lists.shift())),
    });
    for (const id of [1, 2]) {
      await listener.say(modern(id, 'tools/list'));
      await expect.poll(() => listener.answerTo(id)).toBeDefined();
      await call(listener, id + 10, { n: 1 });
    }
    expect(of('tools/call').map(paramsOf)).toEqual([{ 'mcp-param-n': '1' }, {}]);
  });

  it('are learnt again when the server misses one', async () => {
    let schema: object = { type: 'object', properties: { n: integer('Old') } };
    const listener = await connect({
      'tools/list': (request) => sendJson(request.res, resultOf(request, tools(schema))),
      'tools/call': (request) => {
        if (request.headers['mcp-param-n'] === '1') return sendJson(request.res, resultOf(request));
        const error = { code: -32020, message: 'the header Mcp-Param-N is missing' };
        request.res.writeHead(400, { 'content-type': 'application/json' });
        request.res.end(JSON.stringify({ jsonrpc: '2.0', id: request.message.id, error }));
      },
    });
    await call(listener, 1, { n: 1 });
    expect(listener.answerTo(1)?.error?.code).toBe(-32020);
    schema = SCHEMA;
    await call(listener, 2, { n: 1 });
    expect(listener.answerTo(2)).toMatchObject({ result: {} });
  });

  it('are left out where they would be longer than a header may be', async () => {
    const listener = await connect();
    await call(listener, 1, { n: 1, region: 'x'.repeat(100_000) });
    expect(paramsOf(of('tools/call')[0])).not.toHaveProperty('mcp-param-region');
  });

  it('are not waited for by a call that was cancelled, nor by a channel that is closed', async () => {
    const listener = await connect({ 'tools/list': () => undefined });
    void listener.say(modern(1, 'tools/call', { name: 'echo', arguments: {} }));
    void listener.say(modern(2, 'tools/call', { name: 'echo', arguments: {} }));
    await expect.poll(() => of('tools/list').length).toBe(1);
    await listener.say({ method: 'notifications/cancelled', params: { requestId: 1 } });
    await listener.channel.close();
    await expect.poll(() => of('tools/list')[0]?.res.destroyed).toBe(true);
    expect(of('tools/call')).toEqual([]);
    expect(listener.heard).toEqual([]);
  });
});

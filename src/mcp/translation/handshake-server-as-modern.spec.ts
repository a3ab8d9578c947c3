import { afterEach, describe, expect, it, vi } from 'vitest';
import { ChannelUser } from '../../../test/support/channel-user.js';
import { handshakeServer, ScriptedChannel } from '../../../test/support/scripted-channel.js';
import { ALL, modernClient, translationOptions } from '../../../test/support/translated-handshake.js';
import { HandshakeServerAsModern } from './handshake-server-as-modern.js';
import { SERVER_INFO } from './meta-keys.js';

function progress(progressToken: unknown): object {
  return { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } };
}

function level(name: string): object {
  return { 'io.modelcontextprotocol/logLevel': name };
}

function log(name: string): object {
  return { jsonrpc: '2.0', method: 'notifications/message', params: { level: name, data: name } };
}

describe('the handshake with the server', () => {
  afterEach(() => void vi.useRealTimers());

  it('is made once, and declares what can be passed on', async () => {
    const { server, client } = modernClient();
    await client.answerTo(client.request('server/discover'));
    await client.answerTo(client.request('server/discover'));
    expect(server.told).toMatchObject([
      {
        method: 'initialize',
        params: {
          protocolVersion: '2025-11-25',
          capabilities: { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} },
          clientInfo: { name: 'runner', version: '1' },
        },
      },
      { method: 'notifications/initialized' },
    ]);
  });

  it('holds back what the client sends before it is over', () => {
    const server = new ScriptedChannel();
    const client = new ChannelUser(new HandshakeServerAsModern(server, translationOptions()));
    client.request('tools/list');
    client.request('prompts/list');
    expect(server.told.map(({ method }) => method)).toEqual(['initialize']);
    handshakeServer({})(server.told[0] ?? { jsonrpc: '2.0' }, server);
    const methods = ['initialize', 'notifications/initialized', 'tools/list', 'prompts/list'];
    expect(server.told.map(({ method }) => method)).toEqual(methods);
  });

  it('ends the conversation when the server is too late with it', () => {
    vi.useFakeTimers();
    const server = new ScriptedChannel();
    const channel = new HandshakeServerAsModern(server, translationOptions({ handshakeMs: 2000 }));
    const client = new ChannelUser(channel);
    vi.advanceTimersByTime(2000);
    expect(client.closings).toEqual([
      { cause: 'violated', message: 'The server did not answer initialize within 2 s' },
    ]);
    expect(() => channel.send('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')).toThrow('within 2 s');
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([
    ['an error', { error: { code: -32602, message: 'no thanks' } }, 'refused initialize: no thanks'],
    ['no version', { result: { capabilities: {} } }, 'names no protocol version'],
    ['no object', { result: null }, 'names no protocol version'],
    [
      'too much',
      { result: { protocolVersion: '2025-11-25', instructions: 'x'.repeat(1 << 20) } },
      'more than 1048576 characters',
    ],
  ])('ends the conversation when the server answers with %s', (_what, answer, message) => {
    const server = new ScriptedChannel(({ id }, self) => self.say({ jsonrpc: '2.0', id, ...answer }));
    const client = new ChannelUser(new HandshakeServerAsModern(server, translationOptions()));
    expect(client.closings[0]).toMatchObject({
      cause: 'violated',
      message: expect.stringContaining(message),
    });
  });

  it('tells its user when the server exits during it', () => {
    const server = new ScriptedChannel((_message, self) => self.exit());
    const client = new ChannelUser(new HandshakeServerAsModern(server, translationOptions()));
    expect(client.closings).toEqual([{ cause: 'exited', message: 'The server exited with code 1' }]);
  });

  it('lets the server ping, and ask nothing else', () => {
    const server = new ScriptedChannel((message, self) => {
      if (message.method !== 'initialize') return;
      self.say(
        { jsonrpc: '2.0', id: 'p', method: 'ping' },
        { jsonrpc: '2.0', id: 'r', method: 'roots/list' },
      );
    });
    const client = new ChannelUser(new HandshakeServerAsModern(server, translationOptions()));
    expect(client.closings).toEqual([]);
    expect(server.told.slice(1)).toMatchObject([
      { id: 'p', result: {} },
      { id: 'r', error: { code: -32601 } },
    ]);
  });
});

describe('server/discover', () => {
  it('tells what initialize brought to light, without tasks', async () => {
    const { client } = modernClient(undefined, {
      result: {
        capabilities: {
          ...ALL,
          tasks: { list: {} },
          extensions: { 'io.modelcontextprotocol/tasks': {}, 'x/y': {} },
        },
        instructions: 'Be kind',
        serverInfo: { name: 'n', version: '2', title: 'T' },
      },
    });
    expect((await client.answerTo(client.request('server/discover'))).result).toEqual({
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: { ...ALL, extensions: { 'x/y': {} } },
      instructions: 'Be kind',
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { [SERVER_INFO]: { name: 'n', version: '2', title: 'T' } },
    });
  });

  it('makes an overlong serverInfo short, and leaves out one without a name', async () => {
    const long = modernClient(undefined, {
      result: { serverInfo: { name: 'n'.repeat(9000), version: '2', icons: [{ src: 'data:' }] } },
    }).client;
    const { result } = await long.answerTo(long.request('server/discover'));
    expect(result).toMatchObject({ _meta: { [SERVER_INFO]: { name: 'n'.repeat(200), version: '2' } } });
    const nameless = modernClient(undefined, { result: { serverInfo: { version: '2' } } }).client;
    const other = await nameless.answerTo(nameless.request('server/discover'));
    expect(other.result).not.toHaveProperty('_meta');
  });
});

describe('a request', () => {
  it('loses its envelope on the way and nothing else', async () => {
    const { server, client } = modernClient();
    client.send(
      '{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",' +
        '"traceparent":"00-1","io.modelcontextprotocol/clientCapabilities":{},"progressToken":"p","x/y": 1.0},"name":"t","arguments":{"n":12345678901234567890, "f":1.50}},"later":1e2}',
    );
    await server.hears(({ method }) => method === 'tools/call');
    expect(server.texts.at(-1)).toBe(
      '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"_meta":{"traceparent":"00-1","progressToken":2,"x/y": 1.0},"name":"t","arguments":{"n":12345678901234567890, "f":1.50}},"later":1e2}',
    );
  });

  it('loses answers to questions that nobody asked', async () => {
    const { server, client } = modernClient();
    client.request('tools/call', { name: 't', inputResponses: { a: {} } });
    client.request('tools/list', { inputResponses: 1 });
    const [call, list] = server.told.slice(2);
    expect(call?.params).toEqual({ name: 't', _meta: {} });
    expect(list?.params).toEqual({ inputResponses: 1, _meta: {} });
  });

  it.each([
    'initialize',
    'ping',
    'logging/setLevel',
    'resources/subscribe',
    'resources/unsubscribe',
    'tasks/get',
    'tasks/list',
  ])('for %s is refused without asking the server', async (method) => {
    const { server, client } = modernClient();
    const { error } = await client.answerTo(client.request(method));
    expect(error?.code).toBe(-32601);
    expect(server.told).toHaveLength(2);
  });

  it('gets the right answer, however many are in flight under whatever ids', async () => {
    const { server, client } = modernClient();
    const ids = ['"1"', '1', '"x"', '-5'];
    for (const id of ids) {
      client.send(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":${id}}}`);
    }
    for (const { id, params } of server.toldOf('tools/call').toReversed()) {
      server.say({ jsonrpc: '2.0', id, result: { echo: params?.['name'] } });
    }
    expect(client.messages.map(({ id, result }) => [id, (result as { echo: unknown }).echo])).toEqual(
      ids
        .map((id) => JSON.parse(id) as unknown)
        .toReversed()
        .map((id) => [id, id]),
    );
  });

  it('is refused when too many are in flight', async () => {
    const { client } = modernClient();
    for (let i = 0; i < 1000; i++) client.request('tools/list');
    const { error } = await client.answerTo(client.request('tools/list'));
    expect(error?.message).toContain('More than 1000');
  });

  it('that is cancelled is cancelled at the server, and its late answer is dropped', () => {
    const { server, client } = modernClient();
    const id = client.request('tools/call', { name: 't' });
    client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    const upstream = server.toldOf('tools/call')[0]?.id;
    expect(server.told.at(-1)).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: upstream },
    });
    server.say({ jsonrpc: '2.0', id: upstream, result: {} });
    expect(client.texts).toEqual([]);
    client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    expect(server.toldOf('notifications/cancelled')).toHaveLength(1);
  });

  it('sees its progress under its own token, and no other', () => {
    const { server, client } = modernClient();
    client.request('tools/call', { name: 't' }, {}, 'mine');
    client.request('tools/call', { name: 'u' });
    const [first, second] = server.toldOf('tools/call').map(({ id }) => id);
    server.say(progress(first), progress(second), progress('mine'), progress(99));
    expect(client.messages).toEqual([progress('mine')]);
  });

  it('does not reach the server with what only a client of the handshake era says', () => {
    const { server, client } = modernClient();
    client.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    client.send({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' });
    client.send({ jsonrpc: '2.0', id: 7, result: {} });
    expect(server.told).toHaveLength(2);
  });

  it('is gone when the server goes', () => {
    const { server, client } = modernClient();
    client.request('tools/list');
    server.exit();
    expect(client.closings).toHaveLength(1);
    expect(() => client.request('tools/list')).toThrow('exited');
  });
});

describe('log messages', () => {
  it('come to a request that asked for them, from its level on', () => {
    const { server, client } = modernClient();
    client.request('tools/call', { name: 't' }, level('warning'));
    expect(server.toldOf('logging/setLevel')[0]?.params).toEqual({ level: 'warning' });
    server.say(log('info'), log('warning'), log('emergency'), log('strange'));
    expect(client.messages).toEqual([log('warning'), log('emergency')]);
  });

  it('are dropped where no request asked for them, or more than one is in flight', () => {
    const { server, client } = modernClient();
    server.say(log('error'));
    client.request('tools/call', { name: 't' });
    server.say(log('error'));
    client.request('tools/call', { name: 't' }, level('debug'));
    server.say(log('error'));
    expect(client.texts).toEqual([]);
  });

  it('set the level at the server when it changes, and only where it has levels', () => {
    const { server, client } = modernClient();
    for (const name of ['info', 'info', 'debug', 'info']) client.request('tools/call', {}, level(name));
    const levels = server.toldOf('logging/setLevel').map(({ params }) => params?.['level']);
    expect(levels).toEqual(['info', 'debug', 'info']);
    const mute = modernClient(undefined, { result: { capabilities: {} } });
    mute.client.request('tools/call', {}, level('info'));
    expect(mute.server.toldOf('logging/setLevel')).toEqual([]);
  });

  it('have levels that exist', () => {
    const { server, client } = modernClient();
    client.request('tools/call', {}, level('loud'));
    server.say(log('error'));
    expect(server.toldOf('logging/setLevel')).toEqual([]);
    expect(client.texts).toEqual([]);
  });
});

import { afterEach, describe, expect, it, vi } from 'vitest';
import { ChannelUser } from '../../../test/support/channel-user.js';
import type { ReadMessage } from '../../../test/support/scripted-process.js';
import { ScriptedChannel } from '../../../test/support/scripted-channel.js';
import {
  handshakeClient,
  initializeParams,
  modernServer,
  OFFERS,
} from '../../../test/support/translated-modern.js';
import { ModernServerAsHandshake } from './modern-server-as-handshake.js';

const ENVELOPE = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {
    elicitation: {},
    sampling: {},
    roots: { listChanged: true },
  },
  'io.modelcontextprotocol/clientInfo': { name: 'host', version: '3' },
};
const LEVEL = 'io.modelcontextprotocol/logLevel';

function fresh(result: object | undefined) {
  const server = new ScriptedChannel(result && modernServer(result));
  const channel = new ModernServerAsHandshake(server, { handshakeMs: 2000 });
  return { server, channel, client: new ChannelUser(channel) };
}

function metaOf(message: ReadMessage | undefined): Record<string, unknown> {
  return (message?.params?.['_meta'] ?? {}) as Record<string, unknown>;
}

describe('initialize', () => {
  afterEach(() => void vi.useRealTimers());

  it('is answered from server/discover', () => {
    const { client, server } = fresh({
      capabilities: { ...OFFERS, extensions: { 'io.modelcontextprotocol/tasks': {}, 'x/y': {} } },
      instructions: 'Be kind',
    });
    client.request('initialize', initializeParams({ elicitation: {}, tasks: {} }), undefined);
    expect(client.messages[0]?.result).toEqual({
      protocolVersion: '2025-06-18',
      capabilities: { ...OFFERS, extensions: { 'x/y': {} } },
      serverInfo: { name: 'scripted', version: '1' },
      instructions: 'Be kind',
    });
    expect(server.told[0]?.params?.['_meta']).toEqual({
      ...ENVELOPE,
      'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
    });
  });

  it.each([
    ['2024-11-05', '2024-11-05'],
    ['2025-11-25', '2025-11-25'],
    ['2026-07-28', '2025-11-25'],
    ['1.0', '2025-11-25'],
    [undefined, '2025-11-25'],
  ])('for revision %s negotiates %s', (asked, expected) => {
    const { client } = fresh({});
    client.request('initialize', { ...initializeParams(), protocolVersion: asked }, undefined);
    expect(client.messages[0]?.result).toHaveProperty('protocolVersion', expected);
  });

  it('names a server that does not', () => {
    const { client } = fresh({ _meta: {} });
    client.request('initialize', initializeParams(), undefined);
    expect(client.messages[0]?.result).toHaveProperty('serverInfo', { name: 'unnamed', version: 'unknown' });
  });

  it.each([
    ['another revision', { supportedVersions: ['2027-01-01'] }, 'speaks none of 2026-07-28'],
    ['no revision', { supportedVersions: 5 }, 'speaks none of 2026-07-28'],
    ['too much', { instructions: 'x'.repeat(1 << 20) }, 'more than 1048576 characters'],
  ])('fails, and the session with it, when the server says %s', (_what, result, message) => {
    const { client } = fresh(result);
    client.request('initialize', initializeParams(), undefined);
    expect(client.messages[0]?.error?.message).toContain(message);
    expect(client.closings).toMatchObject([{ cause: 'violated', message: expect.stringContaining(message) }]);
  });

  it('fails when the server refuses or is too late', () => {
    vi.useFakeTimers();
    const refused = fresh(undefined);
    refused.client.request('initialize', initializeParams(), undefined);
    refused.server.say({ jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'what?' } });
    expect(refused.client.messages[0]?.error?.message).toContain('refused server/discover: what?');
    const late = fresh(undefined);
    late.client.request('initialize', initializeParams(), undefined);
    vi.advanceTimersByTime(2000);
    expect(late.client.closings).toMatchObject([{ message: expect.stringContaining('within 2 s') }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('comes first and once', () => {
    const { client, server } = fresh({});
    client.request('tools/list', {}, undefined);
    client.request('ping', {}, undefined);
    client.request('initialize', initializeParams(), undefined);
    client.request('initialize', initializeParams(), undefined);
    expect(client.messages).toMatchObject([
      { id: 1, error: { code: -32600 } },
      { id: 2, result: {} },
      { id: 3, result: {} },
      { id: 4, error: { code: -32600 } },
    ]);
    expect(server.told).toHaveLength(1);
  });
});

describe('a request of the session', () => {
  it('gets the envelope, and keeps everything else', () => {
    const { server, client } = handshakeClient(undefined, { result: {} });
    client.send(
      '{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"t","requestState":"forged","_meta":{"progressToken":7,"io.modelcontextprotocol/x":1,"y":2.0},"arguments":{"n":12345678901234567890}}}',
    );
    const text = server.texts.at(-1) ?? '';
    expect(text).toContain('"arguments":{"n":12345678901234567890}');
    expect(text).toContain('"y":2.0');
    expect(server.told.at(-1)).toMatchObject({ id: 2, method: 'tools/call' });
    expect(server.told.at(-1)?.params).toMatchObject({
      name: 't',
      _meta: { ...ENVELOPE, progressToken: 7, y: 2 },
    });
    expect(text).not.toMatch(/requestState|protocol\/x/);
    client.send('{"jsonrpc":"2.0","id":1,"method":"tools/list"}');
    expect(server.told.at(-1)?.params).toEqual({ _meta: ENVELOPE });
  });

  it('carries the log level that the client has set, and info before', () => {
    const { server, request, told } = handshakeClient();
    const level = (): unknown => metaOf(server.told.at(-1))[LEVEL];
    request('tools/call');
    expect(level()).toBe('info');
    const set = request('logging/setLevel', { level: 'error' });
    request('tools/call');
    expect(level()).toBe('error');
    const wrong = request('logging/setLevel', { level: 'loud' });
    expect(told()).toMatchObject([
      { id: set, result: {} },
      { id: wrong, error: { code: -32602 } },
    ]);
    expect(server.toldOf('logging/setLevel')).toEqual([]);
  });

  it.each(['server/discover', 'subscriptions/listen', 'tasks/list'])('for %s is refused', (method) => {
    const { request, server, told } = handshakeClient();
    const before = server.texts.length;
    request(method);
    expect(told()[0]?.error?.code).toBe(-32601);
    expect(server.texts).toHaveLength(before);
  });

  it('that is cancelled is cancelled at the server, and its late answer is dropped', () => {
    const { request, client, server, told } = handshakeClient();
    const id = request('tools/call');
    const upstream = server.toldOf('tools/call')[0]?.id;
    client.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    expect(server.toldOf('notifications/cancelled')[0]?.params).toMatchObject({ requestId: upstream });
    server.say({ jsonrpc: '2.0', id: upstream, result: { resultType: 'complete' } });
    expect(told()).toEqual([]);
  });

  it('sees progress and log messages as they are', () => {
    const { request, server, told } = handshakeClient();
    request('tools/call', {}, 'mine');
    const progress = {
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken: 'mine', progress: 1 },
    };
    const log = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } };
    server.say(progress, log);
    expect(told()).toEqual([progress, log]);
  });

  it('is refused when too many are in flight', () => {
    const { request, told } = handshakeClient();
    for (let i = 0; i < 1001; i++) request('tools/list');
    expect(told()[0]?.error?.message).toContain('More than 1000');
  });
});

describe('what a modern server says', () => {
  it('unasked is refused where it is a request', () => {
    const { server } = handshakeClient();
    server.say(
      { jsonrpc: '2.0', id: 'p', method: 'ping' },
      { jsonrpc: '2.0', id: 'r', method: 'roots/list' },
    );
    expect(server.told.slice(-2)).toMatchObject([
      { id: 'p', result: {} },
      { id: 'r', error: { code: -32601 } },
    ]);
  });

  it('at its end reaches the client', () => {
    const { server, client, channel } = handshakeClient();
    server.exit();
    expect(client.closings).toHaveLength(1);
    expect(() => channel.send('{"jsonrpc":"2.0","id":1,"method":"ping"}')).toThrow('exited');
  });
});

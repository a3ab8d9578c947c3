import { describe, expect, it } from 'vitest';
import { handshakeServer, ScriptedChannel } from '../../../test/support/scripted-channel.js';
import { translationOptions } from '../../../test/support/translated-handshake.js';
import { initializeParams, modernServer } from '../../../test/support/translated-modern.js';
import type { Channel } from '../channels/channel.js';
import { HandshakeServerAsModern } from './handshake-server-as-modern.js';
import { ModernServerAsHandshake } from './modern-server-as-handshake.js';

const INITIALIZE = { jsonrpc: '2.0', id: 1, method: 'initialize', params: initializeParams() };
const CALL = {
  jsonrpc: '2.0',
  id: 2,
  method: 'tools/call',
  params: { name: 't', _meta: { progressToken: 2 } },
};

describe.each([
  [
    'a translated server of the handshake era',
    new ScriptedChannel(handshakeServer({})),
    (server: Channel): Channel => new HandshakeServerAsModern(server, translationOptions()),
    [CALL],
  ],
  [
    'a translated server of the modern era',
    new ScriptedChannel(modernServer({})),
    (server: Channel): Channel => new ModernServerAsHandshake(server, { handshakeMs: 60_000 }),
    [INITIALIZE, CALL],
  ],
])('%s', (_what, server, translated, requests) => {
  it('is held back by a client that does not read', () => {
    const hold = new Promise<void>(() => undefined);
    const channel = translated(server);
    channel.open({ message: () => hold, closed: () => undefined });
    for (const request of requests) void channel.send(JSON.stringify(request));
    const before = server.holds.length;
    const id = server.toldOf('tools/call')[0]?.id;
    server.say({
      jsonrpc: '2.0',
      method: 'notifications/progress',
      params: { progressToken: id, progress: 1 },
    });
    server.say({ jsonrpc: '2.0', id, result: {} });
    expect(server.holds.slice(before)).toEqual([hold, hold]);
  });
});

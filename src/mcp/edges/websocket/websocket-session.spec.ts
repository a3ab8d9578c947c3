import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { call, echo, initialize, note } from '../../../../test/support/edge-server.js';
import { RawWebSocketClient } from '../../../../test/support/websocket-client.js';

const servers: ConnectionServer[] = [];

async function start(...options: Parameters<typeof startConnections>): Promise<ConnectionServer> {
  const server = await startConnections(...options);
  servers.push(server);
  return server;
}

function connect(server: ConnectionServer): Promise<RawWebSocketClient> {
  return RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`);
}

async function open(server: ConnectionServer, revision = '2025-06-18'): Promise<RawWebSocketClient> {
  const client = await connect(server);
  await client.ask(initialize(revision), 1);
  return client;
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    await server.close();
    await expect.poll(() => server.counts).toMatchObject({ leases: 0, handled: 0, calls: 0 });
    expect(server.sessions.count('dp_a')).toBe(0);
    expect(server.processes.every((process) => process.ends === 1)).toBe(true);
    expect(server.faults).toEqual([]);
  }
});

describe('a WebSocket session', () => {
  it('selects the subprotocol mcp, no compression, and relays one message a frame', async () => {
    const server = await start(echo);
    const client = await RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`, {
      protocols: ['mcp.bearer.c2VjcmV0', 'mcp'],
    });
    expect([client.ws.protocol, client.ws.extensions]).toEqual(['mcp', '']);
    await client.ask(initialize(), 1);
    client.send(call('x', { a: 1 }));
    client.send(JSON.stringify(call(2, { text: 'ü🚀' }), null, 2));
    await client.until(() => client.messages.length === 3);
    expect(client.messages.slice(1)).toEqual([
      { jsonrpc: '2.0', id: 'x', result: { a: 1 } },
      { jsonrpc: '2.0', id: 2, result: { text: 'ü🚀' } },
    ]);
    expect(server.counts.opened).toBe(1);
  });

  it('carries what the server says by itself, asks and hears', async () => {
    const server = await start();
    const client = await open(server);
    server.process.say(note('notifications/tools/list_changed'), {
      jsonrpc: '2.0',
      id: 'q',
      method: 'roots/list',
    });
    await client.until(() => client.messages.length === 3);
    expect(client.messages.slice(1)).toEqual([
      note('notifications/tools/list_changed'),
      { jsonrpc: '2.0', id: 1, method: 'roots/list' },
    ]);
    client.send({ jsonrpc: '2.0', id: 1, result: { roots: [] } });
    expect(await server.process.told(1)).toEqual({ jsonrpc: '2.0', id: 'q', result: { roots: [] } });
  });

  it.each(['close', 'terminate'] as const)(
    'ends with its client by %s, calls in flight included',
    async (how) => {
      const server = await start();
      const client = await open(server);
      client.send(call(1));
      await server.process.told(1);
      expect(server.counts.leases).toBe(1);
      client.ws[how]();
      await expect.poll(() => server.process.ends).toBe(1);
      expect(server.counts.leases).toBe(0);
      if (how === 'close') expect((await client.end())?.code).toBe(1005);
    },
  );

  it('whose server exits stays open: its calls are told why, and the next one is answered by a new process', async () => {
    const server = await start();
    const [busy, idle] = [await open(server), await open(server)];
    busy.send(call(7));
    await server.processes[0]?.told(1);
    for (const process of server.processes) {
      process.complain('out of luck\n');
      process.exit(3);
    }
    await busy.until(() => busy.messages.length === 2);
    const message = 'The server exited with code 3. It said:\nout of luck';
    expect(busy.messages[1]).toMatchObject({ id: 7, error: { message, data: { code: 'server_exited' } } });
    expect(server.sessions.count('dp_a')).toBe(0);
    for (const [n, client] of [busy, idle].entries()) {
      const before = client.messages.length;
      client.send(call('next'));
      await expect.poll(() => server.processes.length).toBe(3 + n);
      const { id } = await server.process.told(2);
      expect(server.process.read.map(({ method }) => method)).toEqual([
        'initialize',
        'notifications/initialized',
        'tools/call',
      ]);
      expect(server.process.read[0]?.params).toEqual(server.processes[n]?.read[0]?.params);
      server.process.say({ jsonrpc: '2.0', id, result: { n } });
      await client.until(() => client.messages.length > before);
      expect(client.messages.slice(before)).toEqual([{ jsonrpc: '2.0', id: 'next', result: { n } }]);
    }
    expect(idle.messages).toHaveLength(2);
    expect([busy.closed, idle.closed]).toEqual([undefined, undefined]);
    expect(server.sessions.count('dp_a')).toBe(2);
  });

  it('whose server exits before its handshake is closed with 1011 and the reason, cut to what a frame holds', async () => {
    const server = await start();
    const [busy, idle] = [await connect(server), await connect(server)];
    busy.send({ jsonrpc: '2.0', id: 7, method: 'ping' });
    await server.processes[0]?.told(0);
    for (const process of server.processes) {
      process.complain(`${'ü'.repeat(200)}\n`);
      process.exit(3);
    }
    const [end] = [await busy.end(), await idle.end()];
    expect(end?.code).toBe(1011);
    expect(end?.reason).toMatch(/^The server exited with code 3\. It said:\nü+$/);
    expect(Buffer.byteLength(end?.reason ?? '')).toBe(122);
    expect(busy.messages).toMatchObject([{ id: 7, error: { data: { code: 'server_exited' } } }]);
    expect(idle.messages).toMatchObject([
      { id: null, error: { message: expect.stringContaining('üü') as string } },
    ]);
  });

  it('is closed with 1001 when its deployment is deleted or the service stops', async () => {
    const server = await start();
    const client = await open(server);
    client.send(call(1));
    await server.process.told(1);
    await server.sessions.closeAll('dp_a');
    expect(await client.end()).toEqual({
      code: 1001,
      reason: 'The deployment is gone, or the service stops',
    });
    expect(client.messages[1]).toMatchObject({ id: 1, error: { data: { code: 'session_ended' } } });
  });

  it('that the server refuses is closed with 1000 behind the refusal', async () => {
    const server = await start(({ id }, process) => {
      process.say({ jsonrpc: '2.0', id, error: { code: -32602, message: 'Unsupported protocol version' } });
    });
    const client = await open(server);
    expect(await client.end()).toEqual({ code: 1000, reason: 'The server refused initialize' });
    expect(client.messages).toMatchObject([{ id: 0, error: { message: 'Unsupported protocol version' } }]);
  });
});

describe('the handshake of a WebSocket session', () => {
  it('comes first, once, and may be preceded by pings', async () => {
    const server = await start(echo);
    const client = await connect(server);
    await client.ask(call('early'), 1);
    await client.ask(note('notifications/initialized'), 2);
    await client.ask({ jsonrpc: '2.0', id: 'p', method: 'ping', params: {} }, 3);
    await client.ask(initialize(), 4);
    await client.ask(initialize('2025-06-18', 'again'), 5);
    expect(client.messages).toMatchObject([
      { id: 'early', error: { code: -32600 } },
      { id: null, error: { code: -32600 } },
      { id: 'p', result: {} },
      { id: 0, result: {} },
      { id: 'again', error: { code: -32600 } },
    ]);
    expect(server.process.read.map(({ method }) => method)).toEqual(['ping', 'initialize']);
  });

  it.each([
    ['the client does not begin', 60_000, 1008, 'The client did not send initialize within 60 s'],
    ['the server does not answer', 4000, 1011, 'The server did not answer initialize within 4 s'],
  ])('that %s in time ends the session with a reason', async (who, ms, code, reason) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const server = await start(() => undefined, { handshakeMs: 4000 });
      const client = await connect(server);
      if (code === 1011) {
        client.send(initialize());
        await server.process.told(0);
      }
      vi.advanceTimersByTime(ms);
      expect(await client.end(), who).toEqual({ code, reason });
      expect(client.messages).toMatchObject([{ error: { message: reason } }]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('frames that are no messages', () => {
  it('are answered with an error, and the connection stays', async () => {
    const server = await start(echo);
    const client = await open(server);
    for (const text of ['', '{', '{}', '1', `[${JSON.stringify(call(1))}]`]) client.send(text);
    client.send(call(2));
    await client.until(() => client.messages.length === 7);
    expect(client.messages.slice(1).map(({ id, error }) => [id, (error as { code?: number })?.code])).toEqual(
      [
        [null, -32700],
        [null, -32700],
        [null, -32600],
        [null, -32600],
        [null, -32600],
        [2, undefined],
      ],
    );
  });

  it('as a batch are relayed where the revision has batches', async () => {
    const server = await start(echo);
    const client = await open(server, '2025-03-26');
    client.send(JSON.stringify([call(1), call(2)]));
    await client.until(() => client.messages.length === 3);
    expect(client.messages.slice(1).map(({ id }) => id)).toEqual([1, 2]);
  });

  it('are closed with 1008 when 100 come in a row, and not before', async () => {
    const server = await start(echo);
    const client = await open(server);
    for (let n = 0; n < 99; n++) client.send('{}');
    client.send(call(1));
    for (let n = 0; n < 99; n++) client.send('{}');
    await client.until(() => client.messages.length === 200);
    client.send('{}');
    expect(await client.end()).toEqual({ code: 1008, reason: '100 messages in a row were not JSON-RPC' });
  });

  it('are closed with 1003 when they are binary', async () => {
    const server = await start(echo);
    const client = await open(server);
    client.ws.send(Buffer.from(JSON.stringify(call(1))));
    expect(await client.end()).toEqual({ code: 1003, reason: 'Messages are text frames' });
    expect(server.process.lines).toHaveLength(1);
  });

  it('are closed with 1009 when they are too big, whole or in pieces', async () => {
    const server = await start(echo, { maxMessageBytes: 1000 });
    const [one, two] = [await open(server), await open(server)];
    one.send('x'.repeat(1001));
    for (let n = 0; n < 3; n++) two.ws.send('x'.repeat(500), { fin: false });
    for (const client of [one, two]) {
      expect(await client.end()).toEqual({ code: 1009, reason: 'The message is too big' });
    }
  });

  it('are closed with 1007 when they are not UTF-8', async () => {
    const server = await start(echo);
    const client = await open(server);
    client.ws.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false });
    expect(await client.end()).toEqual({ code: 1007, reason: 'The text is not valid UTF-8' });
  });
});

import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { call, echo, initialize, note } from '../../../../test/support/edge-server.js';
import { RawSseClient, send } from '../../../../test/support/sse-client.js';
import { AppError } from '../../../errors/app-error.js';

const servers: ConnectionServer[] = [];

async function start(...options: Parameters<typeof startConnections>): Promise<ConnectionServer> {
  const server = await startConnections(...options);
  servers.push(server);
  return server;
}

async function open(server: ConnectionServer, revision = '2024-11-05'): Promise<RawSseClient> {
  const client = await RawSseClient.connect(server.port);
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

describe('an HTTP+SSE session', () => {
  it('begins with the address to post to, relative, and goes on with messages that have no id', async () => {
    const server = await start(echo);
    const client = await open(server);
    expect(client.stream.type).toBe('text/event-stream');
    expect(client.stream.headers['x-accel-buffering']).toBe('no');
    expect(client.endpoint).toMatch(/^messages\?sessionId=[\w-]{43}$/);
    expect(new URL(client.endpoint, 'https://proxy.example/prefix/mcp-server/dp_1/sse').href).toMatch(
      /^https:\/\/proxy\.example\/prefix\/mcp-server\/dp_1\/messages\?sessionId=/,
    );
    const posted = await (await client.post(call('x', { a: 1 }))).whole();
    expect([posted.status, posted.text]).toEqual([202, '']);
    await client.until(2);
    expect(client.messages[1]).toEqual({ jsonrpc: '2.0', id: 'x', result: { a: 1 } });
    expect(client.stream.events.map(({ event }) => event)).toEqual(['endpoint', 'message', 'message']);
    expect(client.stream.text).not.toMatch(/^id:/m);
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
    await client.until(3);
    expect(client.messages.slice(1)).toEqual([
      note('notifications/tools/list_changed'),
      { jsonrpc: '2.0', id: 1, method: 'roots/list' },
    ]);
    expect((await client.post({ jsonrpc: '2.0', id: 1, result: { roots: [] } })).status).toBe(202);
    expect(await server.process.told(1)).toEqual({ jsonrpc: '2.0', id: 'q', result: { roots: [] } });
  });

  it('ends with its stream, and its process with it, calls in flight included', async () => {
    const server = await start();
    const client = await open(server);
    await client.post(call(1));
    expect(server.counts.leases).toBe(1);
    client.leave();
    await expect.poll(() => server.process.ends).toBe(1);
    expect(server.counts.leases).toBe(0);
    expect((await client.post(call(2))).status).toBe(404);
  });

  it('ends when its deployment does', async () => {
    const server = await start();
    const client = await open(server);
    await server.sessions.closeAll('dp_a');
    await client.stream.whole();
    expect(client.messages).toHaveLength(1);
    expect(client.stream.broken).toBe(false);
  });
});

describe('what the client posts', () => {
  it.each([
    ['without a session id', '/messages', 400, -32000],
    ['to a session that does not exist', '/messages?sessionId=nope', 404, -32001],
  ])('%s is refused', async (_, path, status, code) => {
    const server = await start();
    const client = await open(server);
    const refused = await (await client.post(call(1), {}, path)).whole();
    expect(refused.status).toBe(status);
    expect(refused.json).toMatchObject({ id: null, error: { code } });
  });

  it.each([{ 'x-principal': 'mallory' }, { 'x-deployment': 'dp_b' }])(
    'to a session that is not its own is refused: %o',
    async (headers) => {
      const server = await start();
      const client = await open(server);
      expect((await client.post(call(1), headers)).status).toBe(404);
    },
  );

  it.each([
    ['{', {}, 400, -32700],
    [Buffer.from([0x22, 0xff, 0x22]), {}, 400, -32700],
    ['{}', {}, 400, -32600],
    [`[${JSON.stringify(call(1))}]`, {}, 400, -32600],
    [`"${'x'.repeat(1 << 20)}"`, {}, 413, -32000],
    ['{}', { 'content-type': 'text/plain' }, 415, -32000],
  ])('that is no message, %s %o, is refused with %i', async (body, headers, status, code) => {
    const server = await start();
    const client = await open(server);
    const refused = await (await client.post(body, headers)).whole();
    expect(refused.status).toBe(status);
    expect(refused.json).toMatchObject({ id: null, error: { code } });
    expect(client.stream.ended).toBe(false);
  });

  it('as a batch is relayed where the revision has batches', async () => {
    const server = await start(echo);
    const client = await open(server, '2025-03-26');
    expect((await client.post(JSON.stringify([call(1, { n: 1 }), call(2, { n: 2 })]))).status).toBe(202);
    await client.until(3);
    expect(client.messages.slice(1).map(({ id }) => id)).toEqual([1, 2]);
  });

  it('before initialize is an error, but for a ping', async () => {
    const server = await start(echo);
    const client = await RawSseClient.connect(server.port);
    await client.ask(call('early'), 1);
    expect(client.messages).toMatchObject([{ id: 'early', error: { code: -32600 } }]);
    expect((await client.post(note('notifications/initialized'))).status).toBe(400);
    await client.ask({ jsonrpc: '2.0', id: 'p', method: 'ping', params: {} }, 2);
    expect(client.messages[1]).toEqual({ jsonrpc: '2.0', id: 'p', result: {} });
    await client.ask(initialize(), 3);
    await client.ask(initialize('2025-06-18', 'again'), 4);
    expect(client.messages[3]).toMatchObject({ id: 'again', error: { code: -32600 } });
    expect(server.process.read.map(({ method }) => method)).toEqual(['ping', 'initialize']);
  });

  it('waits for a server that does not read, and is accepted when it does', async () => {
    const server = await start();
    const client = await open(server);
    server.process.hasRoom = false;
    const posted = client.post(call(1));
    await server.process.told(1);
    const second = client.post(call(2));
    expect(server.counts.handled).toBeGreaterThan(0);
    let accepted = 0;
    for (const post of [posted, second]) void post.then(() => accepted++);
    await send(server.port, 'GET', '/messages');
    expect(accepted).toBe(0);
    server.process.drain();
    expect((await posted).status).toBe(202);
    expect((await second).status).toBe(202);
  });

  it('must come by POST, and the stream by GET', async () => {
    const server = await start();
    for (const [method, path, allow] of [
      ['POST', '/sse', 'GET'],
      ['DELETE', '/sse', 'GET'],
      ['GET', '/messages?sessionId=x', 'POST'],
    ] as const) {
      const refused = await (await send(server.port, method, path)).whole();
      expect([refused.status, refused.headers.allow]).toEqual([405, allow]);
    }
    const refused = await send(server.port, 'GET', '/sse', { accept: 'application/json' });
    expect(refused.status).toBe(406);
  });
});

describe('a stream that cannot begin', () => {
  it('says why the server could not be started', async () => {
    const server = await start(undefined, {
      openChannel: () =>
        Promise.reject(new AppError('deployment_failed', { detail: 'no image', retryAfterSeconds: 30 })),
    });
    const refused = await (await send(server.port, 'GET', '/sse')).whole();
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '30']);
    expect(refused.text).toContain('no image');
  });

  it('holds nothing when its client leaves before', async () => {
    let seen: AbortSignal | undefined;
    const server = await start(undefined, {
      openChannel: (signal) => {
        seen = signal;
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error('left')), { once: true }),
        );
      },
    });
    void send(server.port, 'GET', '/sse').catch(() => undefined);
    await expect.poll(() => seen).toBeDefined();
    server.sockets[0]?.destroy();
    await expect.poll(() => server.sessions.count('dp_a')).toBe(0);
  });
});

describe('the handshake', () => {
  it('that the server does not answer in time ends the session with a reason', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const server = await start(() => undefined, { handshakeMs: 4000 });
      const client = await RawSseClient.connect(server.port);
      await client.post(initialize());
      vi.advanceTimersByTime(4000);
      await client.stream.whole();
      expect(client.messages).toMatchObject([
        { id: 0, error: { message: 'The server did not answer initialize within 4 s' } },
      ]);
      expect(server.process.ends).toBe(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('that the client does not begin within a minute ends the session with a reason', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const server = await start();
      const client = await RawSseClient.connect(server.port);
      vi.advanceTimersByTime(60_000);
      await client.stream.whole();
      expect(client.messages).toMatchObject([
        { id: null, error: { message: 'The client did not send initialize within 60 s' } },
      ]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('that the server refuses ends the session', async () => {
    const server = await start(({ id }, process) => {
      process.say({ jsonrpc: '2.0', id, error: { code: -32602, message: 'Unsupported protocol version' } });
    });
    const client = await open(server);
    await client.stream.whole();
    expect(client.messages).toMatchObject([{ id: 0, error: { message: 'Unsupported protocol version' } }]);
    expect(server.counts.opened).toBe(0);
  });
});

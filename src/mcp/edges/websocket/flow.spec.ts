import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { call, initialize, note } from '../../../../test/support/edge-server.js';
import { RawWebSocketClient } from '../../../../test/support/websocket-client.js';
import type { MessageMemory } from '../http/message-memory.js';

const LARGE = 'x'.repeat(16 << 20);

let server: ConnectionServer;
let client: RawWebSocketClient;

beforeEach(async () => {
  server = await startConnections(undefined, { maxMessageBytes: 20 << 20 });
  client = await open();
});

afterEach(async () => {
  client.ws.terminate();
  await server.close();
  await expect.poll(() => server.counts.leases).toBe(0);
  expect(server.sessions.count('dp_a')).toBe(0);
  expect(server.faults).toEqual([]);
});

async function open(): Promise<RawWebSocketClient> {
  const client = await RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`);
  await client.ask(initialize(), 1);
  return client;
}

function log(data: unknown): object {
  return note('notifications/message', { data });
}

/** Connections on which we wait for the client to read. */
function waitedFor(): Socket[] {
  return server.sockets.filter(({ timeout, destroyed }) => timeout === 30_000 && !destroyed);
}

async function stalled(): Promise<Socket> {
  await expect.poll(waitedFor).toHaveLength(1);
  return waitedFor()[0] as Socket;
}

describe('a client that does not read', () => {
  it('holds back its server, and is cut off when it takes nothing for 30 s', async () => {
    client.ws.pause();
    server.process.say(log(LARGE));
    expect(server.process.paused).toBe(true);
    const socket = await stalled();
    server.process.say(log('behind'));
    expect(server.process.waiting).toBe(1);
    // The socket's own timer says that nothing was taken; half a minute is too long for a test.
    socket.emit('timeout');
    await expect.poll(() => server.process.ends).toBe(1);
    expect(socket.destroyed).toBe(true);
  });

  it('but begins again gets everything, and its connection is under no deadline any more', async () => {
    client.ws.pause();
    server.process.say(log(LARGE), log('last'));
    const socket = await stalled();
    client.ws.resume();
    await client.until(() => client.messages.length === 3);
    expect(client.messages[2]).toEqual(log('last'));
    expect(socket.timeout).toBe(0);
    expect(server.process.paused).toBe(false);
  });

  it('gets what its server said before it exited, the reason behind it, and then what the next process says', async () => {
    client.ws.pause();
    client.send(call(1));
    client.send(call('open'));
    await server.process.told(2);
    server.process.say({ jsonrpc: '2.0', id: 2, result: { LARGE } });
    await stalled();
    server.process.exit(0);
    client.ws.resume();
    await client.until(() => client.messages.length === 3);
    expect(client.messages.map(({ id, error }) => [id, error === undefined])).toEqual([
      [0, true],
      [1, true],
      ['open', false],
    ]);
    expect(client.messages[2]).toMatchObject({ error: { data: { code: 'server_exited' } } });
    client.send(call(2));
    await expect.poll(() => server.processes.length).toBe(2);
    const { id } = await server.process.told(2);
    expect(server.process.read[0]?.params).toEqual(server.processes[0]?.read[0]?.params);
    server.process.say({ jsonrpc: '2.0', id, result: {} });
    await client.until(() => client.messages.length === 4);
    expect(client.messages[3]).toEqual({ jsonrpc: '2.0', id: 2, result: {} });
    expect(client.closed).toBeUndefined();
  });

  it('of a session that is over may take its time for the last answer', async () => {
    const refusing = await startConnections(({ id }, process) => {
      process.say({ jsonrpc: '2.0', id, error: { code: -32602, message: LARGE } });
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const slow = await RawWebSocketClient.connect(`ws://127.0.0.1:${refusing.port}/ws`);
    slow.ws.pause();
    slow.send(initialize());
    await expect.poll(() => refusing.sockets[0]?.timeout).toBe(30_000);
    expect(refusing.process.ends).toBe(1);
    vi.advanceTimersByTime(29_000);
    vi.useRealTimers();
    slow.ws.resume();
    expect((await slow.end())?.code).toBe(1000);
    expect(slow.messages).toHaveLength(1);
    await refusing.close();
  });

  it('and says goodbye is not waited for longer than any other', async () => {
    client.ws.pause();
    server.process.say(log(LARGE));
    await stalled();
    client.ws.close();
    const socket = await stalled();
    socket.emit('timeout');
    await expect.poll(() => server.process.ends).toBe(1);
  });
});

describe('a server that does not read', () => {
  it('stops us from reading its client, whose messages then come in order, each once', async () => {
    server.process.hasRoom = false;
    const text = 'y'.repeat(50_000);
    for (let n = 0; n < 1000; n++) client.send(note('notifications/n', { n, text }));
    await server.process.told(1);
    // Neither we nor the kernel take 50 MB.
    await expect.poll(() => server.sockets[0]?.isPaused()).toBe(true);
    const taken = server.sockets[0]?.bytesRead ?? 0;
    expect(taken).toBeLessThan(1 << 20);
    expect(server.process.lines).toHaveLength(2);
    server.process.drain();
    await server.process.told(1000);
    expect(server.process.read.slice(1).map(({ params }) => params?.['n'])).toEqual(
      Array.from({ length: 1000 }, (_, n) => n),
    );
  });

  it('is not told more by a client of many tiny messages', async () => {
    server.process.hasRoom = false;
    const tiny = JSON.stringify(note('n'));
    for (let n = 0; n < 50_000; n++) client.send(tiny);
    await expect.poll(() => server.sockets[0]?.isPaused()).toBe(true);
    expect(server.sockets[0]?.bytesRead).toBeLessThan(1 << 20);
    expect(server.process.lines).toHaveLength(2);
    server.process.drain();
    await server.process.told(50_000);
  });

  it('does not keep a session whose client was reset', async () => {
    server.process.hasRoom = false;
    client.send(note('notifications/n'));
    await expect.poll(() => server.sockets[0]?.isPaused()).toBe(true);
    server.sockets[0]?.emit('error', new Error('ECONNRESET'));
    await expect.poll(() => server.process.ends).toBe(1);
  });
});

describe('memory for messages', () => {
  it('is held by a message that is coming in, and given back when it was handed over or its client left', async () => {
    const limits = memoryOf(server);
    const part = 'z'.repeat(10 << 20);
    client.ws.send(part, { fin: false });
    await expect.poll(() => limits.held()).toBeGreaterThan(10 << 20);
    client.ws.send('', { fin: true });
    await client.until(() => client.messages.length === 2);
    expect(limits.held()).toBeLessThan(100);
    client.ws.send(part, { fin: false });
    await expect.poll(() => limits.held()).toBeGreaterThan(10 << 20);
    client.ws.terminate();
    await expect.poll(() => limits.held()).toBe(0);
  });

  it('that is refused closes the connection with 1013', async () => {
    const limits = memoryOf(server);
    limits.memory.lease('dp_a').grow(60 << 20);
    client.ws.send('z'.repeat(10 << 20), { fin: false });
    expect(await client.end()).toEqual({ code: 1013, reason: 'Too many large messages at once' });
    // It is not read any more, so the closing takes its deadline.
  }, 15_000);

  it('is not used up by pings', async () => {
    const limits = memoryOf(server);
    for (let n = 0; n < 50; n++) {
      client.ws.ping('x'.repeat(125));
      await new Promise((resolve) => client.ws.once('pong', resolve));
    }
    expect(limits.held()).toBeLessThan(200);
  });
});

/** The memory of the edges, and how much of it is in use. */
function memoryOf({ memory }: ConnectionServer): { memory: MessageMemory; held(): number } {
  return { memory, held: () => (memory as unknown as { bytes: number }).bytes };
}

it('a socket that says nothing but half a handshake is no session', async () => {
  const socket = connect(server.port, '127.0.0.1');
  socket.write('GET /ws HTTP/1.1\r\nupgrade: websocket\r\n');
  await expect.poll(() => server.sockets.length).toBe(2);
  expect(server.sessions.count('dp_a')).toBe(1);
  socket.destroy();
});

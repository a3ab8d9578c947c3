import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

// The timer of all connections starts when the module is loaded, so it has to be a fake one before that.
vi.hoisted(() => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));

const { startConnections } = await import('../../../../test/support/connection-server.js');
const { call, initialize, note } = await import('../../../../test/support/edge-server.js');
const { RawWebSocketClient } = await import('../../../../test/support/websocket-client.js');

const BEAT_MS = 15_000;

let server: Awaited<ReturnType<typeof startConnections>>;

beforeEach(async () => {
  server = await startConnections(undefined, { maxMessageBytes: 40 << 20 });
});

afterEach(async () => {
  await server.close();
  expect(server.sessions.count('dp_a')).toBe(0);
  expect(server.faults).toEqual([]);
});

async function open() {
  const client = await RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`);
  await client.ask(initialize(), 1);
  return client;
}

/** A client that is upgraded and then does nothing by itself. */
async function dial(): Promise<{ socket: Socket; heard: () => Buffer }> {
  const socket = connect(server.port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
  socket.write(
    'GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n' +
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: mcp\r\n\r\n',
  );
  const heard = (): Buffer => Buffer.concat(chunks);
  await expect.poll(() => heard().includes('\r\n\r\n')).toBe(true);
  return { socket, heard };
}

function pings(heard: Buffer): number {
  return heard.subarray(heard.indexOf('\r\n\r\n') + 4).length / 2;
}

it('a client is pinged every 15 s, and lives as long as it answers', async () => {
  const client = await open();
  for (let n = 1; n <= 6; n++) {
    const pinged = new Promise((resolve) => client.ws.once('ping', resolve));
    const ponged = server.sockets[0]?.bytesRead ?? 0;
    vi.advanceTimersByTime(BEAT_MS);
    await pinged;
    await expect.poll(() => server.sockets[0]?.bytesRead).toBe(ponged + 6);
  }
  expect(client.closed).toBeUndefined();
  client.ws.terminate();
});

it('a client that is silent for 30 s after a ping is gone', async () => {
  const { socket, heard } = await dial();
  for (let n = 1; n <= 2; n++) {
    vi.advanceTimersByTime(BEAT_MS);
    await expect.poll(() => pings(heard())).toBe(n);
  }
  expect(server.process.ends).toBe(0);
  vi.advanceTimersByTime(BEAT_MS);
  await expect.poll(() => server.process.ends).toBe(1);
  await expect.poll(() => socket.destroyed).toBe(true);
});

it('a client that sends anything at all lives, though its pong is late', async () => {
  const { socket, heard } = await dial();
  const upgraded = server.sockets[0]?.bytesRead ?? 0;
  // The beginning of a message of 64 KB.
  socket.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
  await expect.poll(() => server.sockets[0]?.bytesRead).toBe(upgraded + 14);
  for (let n = 1; n <= 6; n++) {
    const read = server.sockets[0]?.bytesRead ?? 0;
    vi.advanceTimersByTime(BEAT_MS);
    await expect.poll(() => pings(heard())).toBe(n);
    socket.write(Buffer.alloc(10));
    await expect.poll(() => server.sockets[0]?.bytesRead).toBe(read + 10);
  }
  expect(server.process.ends).toBe(0);
  socket.destroy();
});

it('a client that takes a large message slowly is not pinged meanwhile, and lives', async () => {
  const client = await open();
  client.ws.pause();
  server.process.say(note('notifications/message', { data: 'x'.repeat(16 << 20) }));
  await expect.poll(() => server.sockets[0]?.timeout).toBe(30_000);
  vi.advanceTimersByTime(10 * BEAT_MS);
  client.ws.resume();
  await client.until(() => client.messages.length === 2 || client.closed !== undefined);
  await expect.poll(() => server.sockets[0]?.timeout).toBe(0);
  expect(client.closed).toBeUndefined();
  expect(server.process.ends).toBe(0);
  client.ws.terminate();
});

it('a client whose server does not read is not blamed for its silence', async () => {
  const client = await open();
  server.process.hasRoom = false;
  client.send(call(1));
  client.send(call(2));
  await expect.poll(() => server.sockets[0]?.isPaused()).toBe(true);
  vi.advanceTimersByTime(10 * BEAT_MS);
  server.process.drain();
  await server.process.told(2);
  server.process.say(note('notifications/message', { data: 'still there' }));
  await client.until(() => client.messages.length === 2 || client.closed !== undefined);
  expect(client.closed).toBeUndefined();
  expect(server.process.ends).toBe(0);
  client.ws.terminate();
});

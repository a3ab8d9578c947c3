import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { call, initialize, note } from '../../../../test/support/edge-server.js';
import { RawSseClient } from '../../../../test/support/sse-client.js';

const LARGE = 'x'.repeat(16 << 20);

let server: ConnectionServer;
let client: RawSseClient;

beforeEach(async () => {
  server = await startConnections(undefined, { maxMessageBytes: 20 << 20 });
  client = await RawSseClient.connect(server.port);
  await client.ask(initialize(), 1);
});

afterEach(async () => {
  client.leave();
  await server.close();
  await expect.poll(() => server.counts).toMatchObject({ leases: 0, handled: 0, calls: 0 });
  expect(held()).toBe(0);
  expect(server.sessions.count('dp_a')).toBe(0);
  expect(server.faults).toEqual([]);
});

function log(data: unknown): object {
  return note('notifications/message', { data });
}

function held(): number {
  return (server.memory as unknown as { bytes: number }).bytes;
}

/** Connections on which we wait for the client to read. */
function waitedFor(): Socket[] {
  return server.sockets.filter(({ timeout, destroyed }) => timeout === 30_000 && !destroyed);
}

async function stalled(): Promise<Socket> {
  await expect.poll(waitedFor).toHaveLength(1);
  return waitedFor()[0] as Socket;
}

describe('a client that does not read its stream', () => {
  it('holds back its server, and is cut off when it takes nothing for 30 s', async () => {
    client.stream.pause();
    server.process.say(log(LARGE));
    expect(server.process.paused).toBe(true);
    const socket = await stalled();
    server.process.say(log('behind'));
    expect(server.process.waiting).toBe(1);
    // The socket's own timer says that nothing was taken; half a minute is too long for a test.
    socket.emit('timeout');
    await expect.poll(() => server.process.ends).toBe(1);
  });

  it('but begins again gets everything, and its connection is under no deadline any more', async () => {
    client.stream.pause();
    server.process.say(log(LARGE), log('last'));
    const socket = await stalled();
    client.stream.resume();
    await client.until(3);
    expect(client.messages[2]).toEqual(log('last'));
    expect(socket.timeout).toBe(0);
  });

  it('does not hold a session that is over, and gets what was said before when it reads in time', async () => {
    client.stream.pause();
    server.process.say(log(LARGE));
    await stalled();
    await server.sessions.closeAll();
    expect(server.process.ends).toBe(1);
    expect(waitedFor()).toHaveLength(1);
    client.stream.resume();
    await client.stream.whole();
    expect(client.messages).toHaveLength(2);
  });
});

/** Megabytes take their time on a machine that is busy. */
const UPLOADED = { timeout: 15_000 };

it('what waits for a server that does not read holds memory until it is handed over, or the stream ends', async () => {
  server.process.hasRoom = false;
  const posts = [client.post(call(1, { text: LARGE })), client.post(call(2, { text: LARGE }))];
  await expect.poll(held, UPLOADED).toBeGreaterThan(32 << 20);
  server.process.drain();
  for (const post of posts) expect((await post).status).toBe(202);
  expect(held()).toBe(0);
  server.process.hasRoom = false;
  const left = client.post(call(3, { text: LARGE }));
  await expect.poll(held, UPLOADED).toBeGreaterThan(16 << 20);
  client.stream.leave();
  await left;
  expect(held()).toBe(0);
});

it('no more is taken than there is memory for', async () => {
  const taken = server.memory.lease('dp_b');
  taken.grow(64 << 20);
  const other = await RawSseClient.connect(server.port, { 'x-deployment': 'dp_b' });
  const refused = await (await other.post(initialize())).whole();
  expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
  expect((await client.post(call(1))).status).toBe(202);
  other.leave();
  await expect.poll(() => server.sessions.count('dp_b')).toBe(0);
  taken.release();
});

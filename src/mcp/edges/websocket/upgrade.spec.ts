import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { echo, initialize } from '../../../../test/support/edge-server.js';
import { Gate } from '../../../../test/support/gate.js';
import { ScriptedProcess } from '../../../../test/support/scripted-process.js';
import { seededRandom } from '../../../../test/support/seeded-random.js';
import { RawWebSocketClient } from '../../../../test/support/websocket-client.js';
import { AppError } from '../../../errors/app-error.js';
import { StdioChannel } from '../../channels/stdio-channel.js';

const HANDSHAKE = {
  host: 'x',
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-protocol': 'mcp',
};

const servers: ConnectionServer[] = [];
const clients: Socket[] = [];

async function start(...options: Parameters<typeof startConnections>): Promise<ConnectionServer> {
  const server = await startConnections(...options);
  servers.push(server);
  return server;
}

function head(changes: Record<string, string | undefined> = {}, line = 'GET /ws HTTP/1.1'): string {
  const headers = Object.entries({ ...HANDSHAKE, ...changes }).filter(([, value]) => value !== undefined);
  return `${line}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** Write bytes as they are; what came back, and whether the other side has closed. */
function dial(server: ConnectionServer, ...bytes: (string | Buffer)[]) {
  const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  clients.push(socket);
  const heard = { text: '', closed: false, socket };
  socket.setEncoding('latin1').on('data', (text: string) => (heard.text += text));
  socket.on('end', () => (heard.closed = true)).on('close', () => (heard.closed = true));
  socket.on('error', () => undefined);
  for (const chunk of bytes) socket.write(chunk);
  return heard;
}

/** A frame of a client, masked with zeroes. */
function frame(text: string, first = 0x81): Buffer {
  const data = Buffer.from(text);
  return Buffer.concat([Buffer.from([first, 0x80 | data.length, 0, 0, 0, 0]), data]);
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const server of servers.splice(0)) {
    await expect.poll(() => server.counts).toMatchObject({ leases: 0, handled: 0, calls: 0 });
    await expect.poll(() => server.sessions.count('dp_a')).toBe(0);
    await expect.poll(() => server.sockets.every((socket) => socket.destroyed)).toBe(true);
    expect(server.processes.every((process) => process.ends === 1)).toBe(true);
    expect(server.faults).toEqual([]);
    await server.close();
  }
});

describe('an upgrade is refused with an HTTP answer that says why', () => {
  it.each([
    [
      'no subprotocol',
      { 'sec-websocket-protocol': undefined },
      400,
      'must offer the WebSocket subprotocol \\"mcp\\"',
    ],
    ['another subprotocol', { 'sec-websocket-protocol': 'graphql, mcp2' }, 400, 'subprotocol'],
    ['an old version', { 'sec-websocket-version': '8' }, 426, 'version 13'],
    ['no key', { 'sec-websocket-key': undefined }, 400, 'Sec-WebSocket-Key'],
    ['another protocol', { upgrade: 'h2c' }, 426, 'Upgrade Required'],
    ['a list of subprotocols that is none', { 'sec-websocket-protocol': 'mcp,,mcp' }, 400, ''],
  ])('where the client has %s', async (_, headers, status, text) => {
    const server = await start();
    const heard = dial(server, head(headers));
    await expect.poll(() => heard.closed).toBe(true);
    expect(heard.text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(heard.text).toContain(text);
    if (text !== '') {
      expect(heard.text).toContain('content-type: application/json');
      expect(heard.text).toContain('"jsonrpc":"2.0","id":null');
    }
    heard.socket.end();
  });

  it('where the method is not GET', async () => {
    const server = await start();
    const heard = dial(server, head({}, 'POST /ws HTTP/1.1'));
    await expect.poll(() => heard.closed).toBe(true);
    expect(heard.text).toMatch(/^HTTP\/1\.1 405 [^]*allow: GET/);
    heard.socket.end();
  });

  it('where the deployment has failed', async () => {
    const server = await start(undefined, {
      openChannel: () =>
        Promise.reject(new AppError('deployment_failed', { detail: 'no image', retryAfterSeconds: 30 })),
    });
    const heard = dial(server, head());
    await expect.poll(() => heard.closed).toBe(true);
    expect(heard.text).toMatch(
      /^HTTP\/1\.1 503 [^]*retry-after: 30[^]*no image[^]*"code":"deployment_failed"/,
    );
    heard.socket.end();
  });

  it('where all sessions are in use', async () => {
    const server = await start(echo, { maxSessions: 1 });
    const url = `ws://127.0.0.1:${server.port}/ws`;
    const client = await RawWebSocketClient.connect(url);
    await expect(RawWebSocketClient.connect(url)).rejects.toThrow('HTTP 503');
    client.ws.close();
    await client.end();
  });

  it('where the server is gone before it was used', async () => {
    const server = await start(undefined, {
      openChannel: () => {
        const process = new ScriptedProcess();
        const channel = new StdioChannel(process, 1000);
        process.exit(1);
        return Promise.resolve(channel);
      },
    });
    const heard = dial(server, head());
    await expect.poll(() => heard.closed).toBe(true);
    expect(heard.text).toMatch(/^HTTP\/1\.1 502 [^]*exited with code 1/);
    heard.socket.end();
  });

  it('and the connection ends though the client keeps its end open', async () => {
    const server = await start();
    const heard = dial(server, head({ 'sec-websocket-protocol': undefined }));
    await expect.poll(() => heard.closed).toBe(true);
    await expect.poll(() => server.sockets[0]?.destroyed, { timeout: 10_000 }).toBe(true);
  }, 15_000);
});

/** A server whose process is there when the test opens the gate. */
async function waiting() {
  const gate = new Gate();
  const seen: AbortSignal[] = [];
  const server = await start(undefined, {
    openChannel: async (signal) => {
      seen.push(signal);
      await gate.wait();
      const process = new ScriptedProcess(echo);
      server.processes.push(process);
      return new StdioChannel(process, 1 << 20);
    },
  });
  return { gate, seen, server };
}

describe('an upgrade that waits for the server', () => {
  it('keeps what the client sends too early', async () => {
    const { gate, server } = await waiting();
    const heard = dial(server, Buffer.concat([Buffer.from(head()), frame(JSON.stringify({ first: 1 }))]));
    await gate.reached;
    heard.socket.write(frame('{"second":2}'));
    await expect.poll(() => server.sockets[0]?.bytesRead).toBeGreaterThan(head().length + 30);
    gate.open();
    await expect.poll(() => heard.text.match(/-32600/g)).toHaveLength(2);
    expect(heard.text).toMatch(/^HTTP\/1\.1 101 [^]*Sec-WebSocket-Protocol: mcp\r\n/);
    heard.socket.destroy();
  });

  it.each(['end', 'destroy', 'resetAndDestroy'] as const)(
    'ends when its client leaves by %s',
    async (how) => {
      const { gate, seen, server } = await waiting();
      const heard = dial(server, head());
      await gate.reached;
      heard.socket[how]();
      await expect.poll(() => seen[0]?.aborted).toBe(true);
      gate.open();
    },
  );

  it('ends when its client sends more than 64 KB', async () => {
    const { gate, seen, server } = await waiting();
    const heard = dial(server, head());
    await gate.reached;
    heard.socket.write(Buffer.alloc(65 << 10));
    await expect.poll(() => seen[0]?.aborted).toBe(true);
    gate.open();
    await expect.poll(() => heard.closed).toBe(true);
    expect(heard.text).toBe('');
  });
});

describe('malformed frames', () => {
  it.each([
    ['without a mask', Buffer.from([0x81, 0x02, 0x7b, 0x7d]), 1002],
    ['with reserved bits', Buffer.from([0xf1, 0x80, 0, 0, 0, 0]), 1002],
    ['of an unknown kind', Buffer.from([0x83, 0x80, 0, 0, 0, 0]), 1002],
    ['that continue nothing', Buffer.from([0x80, 0x80, 0, 0, 0, 0]), 1002],
    ['of 2^63 bytes', Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]), 1009],
    ['of control in pieces', Buffer.from([0x09, 0x80, 0, 0, 0, 0]), 1002],
    [
      'in more than 16,384 pieces',
      Buffer.concat([frame('x', 0x01), ...Array.from({ length: 16_384 }, () => frame('x', 0))]),
      1008,
    ],
  ])('%s end the session with a code and a reason', async (_, bytes, code) => {
    const server = await start();
    const heard = dial(server, head());
    await expect.poll(() => heard.text).toContain('101 Switching Protocols');
    heard.socket.write(bytes);
    const close = Buffer.from([code >> 8, code & 0xff]).toString('latin1');
    await expect.poll(() => heard.text).toContain(close);
    expect(heard.text.slice(heard.text.indexOf(close) + 2)).toMatch(/^The [\w -]+$/);
    heard.socket.destroy();
  });

  it('of 200 clients that send noise end their own sessions at most', async () => {
    const random = seededRandom(7);
    const server = await start(echo, { maxSessions: 201 });
    const byte = (): number => Math.floor(random() * 256);
    const bystander = await RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`);
    for (let n = 0; n < 200; n++) {
      const heard = dial(server, head());
      const noise = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 300) }, byte));
      // Half of it begins like a frame.
      if (n % 2 === 0) noise.set([0x81, 0x80 | (byte() % 126)]);
      await expect.poll(() => heard.text, { interval: 1 }).toContain('101 Switching Protocols');
      heard.socket.end(noise);
    }
    await expect.poll(() => server.sessions.count('dp_a')).toBe(1);
    await bystander.ask(initialize(), 1);
    expect(bystander.messages).toMatchObject([{ id: 0, result: {} }]);
    bystander.ws.close();
  });

  it('and half a frame hold nothing when the client is gone', async () => {
    const server = await start();
    const heard = dial(server, head());
    await expect.poll(() => heard.text).toContain('101 Switching Protocols');
    heard.socket.write(frame(JSON.stringify(initialize()).slice(0, 100)).subarray(0, 50));
    heard.socket.end();
    await expect.poll(() => server.process.ends).toBe(1);
  });
});

it('an upgrade behind a request that waits for its answer ends the connection', async () => {
  const server = await start();
  const heard = dial(server, 'GET /sse HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n', head());
  await expect.poll(() => heard.closed).toBe(true);
  expect(heard.text).not.toContain('101');
});

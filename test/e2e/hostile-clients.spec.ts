import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { answerText } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { openSession, postUnread, processesIn, residentMb, Witness } from '../support/hostile-ground.js';
import { closed, frame, HostileSockets, httpRequest, sessionHeaders } from '../support/hostile-sockets.js';
import { type Deployment, Service } from '../support/service.js';
import { findLeftovers } from '../support/service-leftovers.js';
import { RawSseClient } from '../support/sse-client.js';
import { RawWebSocketClient } from '../support/websocket-client.js';

const MB = 1024 * 1024;
const STREAMS = 1000;
/** What the control plane may take beyond what it had: buffers, sessions, and what V8 has not freed yet. */
const ROOM_MB = 256;
const TEXT = 0x81;
const TIMES = 10;

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'hostile', version: '1' },
  },
};

function call(name: string, args: Record<string, unknown>): object {
  return { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } };
}

const SLOW = call('slow', { ms: 600_000, label: 'never read' });

describe('clients that behave badly', () => {
  let service: Service;
  let deployment: Deployment;
  let shared: Deployment;
  let witness: Witness;
  let neighbour: Witness;
  let sockets: HostileSockets;
  let memoryMb: number;
  let base: string;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    [deployment, shared] = await Promise.all([
      service.deploy({ image }),
      service.deploy({ image, sessionMode: 'shared', maxSessions: STREAMS, access: 'public' }),
    ]);
    [witness, neighbour] = await Promise.all([Witness.in(deployment), Witness.in(shared)]);
    sockets = new HostileSockets(service.port);
    memoryMb = residentMb(service);
    base = `/mcp-server/${deployment.id}`;
  });

  afterAll(() => service.stop());

  const webSocketUrl = ({ id }: Deployment): string => `ws://localhost:${service.port}/mcp-server/${id}/ws`;

  async function processCount(): Promise<number> {
    return (await processesIn(deployment)).length;
  }

  /** In the sandbox: the witness's server, and a spare where nobody took it without opening a session. */
  async function nothingIsLeft(): Promise<void> {
    await Promise.all([witness.isUndisturbed(), neighbour.isUndisturbed()]);
    await expect.poll(() => sockets.held(), { timeout: 30_000 }).toEqual([]);
    await expect.poll(processCount, { timeout: 30_000 }).toBeLessThanOrEqual(2);
    expect(residentMb(service) - memoryMb).toBeLessThan(ROOM_MB);
  }

  describe('that vanish', () => {
    afterEach(nothingIsLeft);

    it('in the middle of calls: the session goes on, and its end ends what they left', async () => {
      const client = await openSession(deployment);
      const head = sessionHeaders(client, tokenOf(deployment));
      for (let i = 0; i < TIMES; i++) {
        const socket = await sockets.open();
        socket.write(httpRequest(`${base}/mcp`, head, JSON.stringify(SLOW)));
        // It is in flight once a later one has been answered.
        await client.call('later', 'echo', { text: 'x' });
        socket.resetAndDestroy();
      }
      expect(answerText(await client.call(1, 'session_counter'))).toBe('1');
      expect(await client.end()).toBe(200);
    });

    it('in the middle of a stream: what goes on without them disturbs nobody, and ends with the session', async () => {
      const client = await openSession(deployment);
      const flood = await postUnread(client, tokenOf(deployment), call('flood', { label: 'gone' }));
      await once(flood, 'data');
      flood.destroy();
      await Promise.all([witness.isUndisturbed(), neighbour.isUndisturbed()]);
      expect(await client.end()).toBe(200);
    });

    it('with the connection that is their session: their server is ended', async () => {
      const token = tokenOf(deployment);
      for (const tool of ['slow', 'flood']) {
        const args = tool === 'slow' ? { ms: 600_000, label: 'gone' } : { label: 'gone' };
        const sse = await RawSseClient.connect(service.port, token, base);
        await sse.ask(INITIALIZE, 1);
        await sse.send(call(tool, args));
        sse.leave();
        const ws = await RawWebSocketClient.connect(webSocketUrl(deployment), { headers: token });
        await ws.ask(INITIALIZE, 1);
        ws.send(call(tool, args));
        ws.ws.terminate();
      }
    });

    it('in the middle of uploads: the memory that these took is free again', async () => {
      const client = await openSession(deployment);
      const head = { ...sessionHeaders(client, tokenOf(deployment)), 'content-length': String(12 * MB) };
      // Together more than the messages of one deployment may take.
      for (let i = 0; i < TIMES; i++) {
        const socket = await sockets.open();
        socket.write(httpRequest(`${base}/mcp`, head, ''));
        if (!socket.write('x'.repeat(8 * MB))) await once(socket, 'drain');
        socket.resetAndDestroy();
        const half = await sockets.webSocket(`${base}/ws`, tokenOf(deployment));
        half.write(frame(TEXT, Buffer.alloc(60_000)).subarray(0, 30_000));
        half.resetAndDestroy();
      }
      const text = 'x'.repeat(8 * MB);
      await expect.poll(async () => (await client.call(1, 'echo', { text })).status).toBe(200);
      await client.end();
    });
  });

  describe('that take their time', () => {
    afterEach(nothingIsLeft);

    it('reading an answer bit by bit: it arrives whole, and nobody waits for them', async () => {
      const client = await openSession(deployment);
      const bytes = 4 * MB;
      const answer = await postUnread(client, tokenOf(deployment), call('echo_bytes', { n: bytes }));
      let text = '';
      for await (const chunk of answer.setEncoding('utf8')) {
        text += chunk as string;
        if (text.length < MB) await witness.isUndisturbed();
      }
      expect(text.length).toBeGreaterThan(bytes);
      expect(text).toMatch(/"type":"text","text":"0 1 2 3 4 5 /);
      await client.end();
    });

    it(`holding ${STREAMS} idle streams: others work meanwhile, and all places are free when they leave`, async () => {
      const streams: { leave(): void }[] = [];
      const open = async (i: number): Promise<void> => {
        if (i % 2 === 0) {
          const client = await RawSseClient.connect(service.port, {}, `/mcp-server/${shared.id}`);
          streams.push(client);
          await client.ask(INITIALIZE, 1);
        } else {
          const client = await RawWebSocketClient.connect(webSocketUrl(shared));
          streams.push({ leave: () => client.ws.terminate() });
          await client.ask(INITIALIZE, 1);
        }
      };
      // One place is the neighbour's.
      for (let i = 0; i < STREAMS - 1; i += 50) {
        const some = Array.from({ length: Math.min(50, STREAMS - 1 - i) }, (_, k) => open(i + k));
        await Promise.all(some);
      }
      await expect(openSession(shared)).rejects.toThrow('503');
      await Promise.all([witness.isUndisturbed(), neighbour.isUndisturbed()]);
      for (const stream of streams) stream.leave();
      const isFree = async (): Promise<number> => (await openSession(shared)).end();
      await expect.poll(isFree, { timeout: 30_000 }).toBe(200);
    });
  });

  describe('that send rubbish', () => {
    afterEach(nothingIsLeft);

    const LINE = 'POST /mcp HTTP/1.1\r\nhost: localhost\r\n';
    const MALFORMED: [string, string | Buffer][] = [
      ['no HTTP at all', 'hello?\r\n\r\n'],
      ['the beginning of TLS', Buffer.from('16030100a5010000a10303', 'hex')],
      ['a method that nobody knows', 'FETCH / HTTP/1.1\r\nhost: localhost\r\n\r\n'],
      ['another version of HTTP', 'GET / HTTP/9.9\r\nhost: localhost\r\n\r\n'],
      ['no host', 'GET /health HTTP/1.1\r\n\r\n'],
      ['a header of 1 MB', `${LINE}x: ${'x'.repeat(MB)}\r\n\r\n`],
      ['10,000 headers', `${LINE}${'x: y\r\n'.repeat(10_000)}\r\n`],
      ['a header with a NUL', `${LINE}x: \0\r\n\r\n`],
      ['a length that is no number', `${LINE}content-length: many\r\n\r\n`],
      ['a negative length', `${LINE}content-length: -1\r\n\r\n`],
      ['two lengths', `${LINE}content-length: 1\r\ncontent-length: 2\r\n\r\nx`],
      ['a length and chunks', `${LINE}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
      ['a chunk that is none', `${LINE}transfer-encoding: chunked\r\n\r\nzz\r\n`],
    ];

    it.each(MALFORMED)('instead of HTTP: %s', async (_, bytes) => {
      expect(await sockets.exchange(bytes)).toMatch(/^HTTP\/1\.1 4\d\d |^$/);
    });

    const BODIES: [string, Buffer][] = [
      ['half a message', Buffer.from('{"jsonrpc":"2.0","id":1,')],
      ['bytes that are no UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22])],
      ['UTF-16', Buffer.from('{"jsonrpc":"2.0","id":1,"method":"ping"}', 'utf16le')],
      ['100,000 brackets', Buffer.from('['.repeat(100_000))],
      [
        'a message with 100,000 brackets',
        Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"ping","params":${'['.repeat(100_000)}`),
      ],
      ['an id that is an object', Buffer.from('{"jsonrpc":"2.0","id":{},"method":"ping"}')],
    ];

    it.each(BODIES)('instead of a message: %s', async (_, body) => {
      const token = tokenOf(deployment);
      const client = await openSession(deployment);
      const posted = await fetch(client.url, {
        method: 'POST',
        headers: {
          ...sessionHeaders(client, token),
          accept: 'application/json, text/event-stream',
          'content-type': 'application/json',
        },
        body: new Uint8Array(body),
      });
      expect(posted.status).toBe(400);
      expect(await posted.json()).toMatchObject({ error: { code: expect.any(Number) as number } });
      expect(answerText(await client.call(1, 'session_counter'))).toBe('1');
      await client.end();

      const sse = await RawSseClient.connect(service.port, token, base);
      expect((await (await sse.post(body)).whole()).status).toBe(400);
      expect(await sse.ask(INITIALIZE, 1)).toMatchObject([{ id: 0, result: {} }]);
      sse.leave();

      const ws = await RawWebSocketClient.connect(webSocketUrl(deployment), { headers: token });
      ws.ws.send(body, { binary: false });
      await ws.until(() => ws.closed !== undefined || ws.messages.length > 0);
      ws.ws.terminate();
    });

    const FRAMES: [string, Buffer, RegExp][] = [
      ['a frame that is not masked', Buffer.from('810568656c6c6f', 'hex'), /1002/],
      ['reserved bits', frame(0xf1, Buffer.from('{}')), /1002/],
      ['an opcode that nobody knows', frame(0x83, Buffer.from('{}')), /1002/],
      ['a ping in two parts', frame(0x09, Buffer.from('x')), /1002/],
      ['the rest of a message that never began', frame(0x80, Buffer.from('{}')), /1002/],
      ['text that is no UTF-8', frame(TEXT, Buffer.from([0xc3, 0x28])), /1007/],
      ['a binary frame', frame(0x82, Buffer.from('{}')), /1003/],
      ['a frame of 8 EB', Buffer.from('81ff7fffffffffffffff00000000', 'hex'), /1009/],
      ['a close that says nothing valid', frame(0x88, Buffer.from([0x03, 0xec])), /1002/],
    ];

    it.each(FRAMES)('instead of a frame: %s', async (_, bytes, code) => {
      const socket = await sockets.webSocket(`${base}/ws`, tokenOf(deployment));
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.write(bytes);
      await closed(socket);
      expect(closeCodes(Buffer.concat(chunks))).toMatch(code);
    });
  });

  it('nothing of any of them is left when the deployments are deleted', async () => {
    const all = await Promise.all([deployment, shared].map(({ id }) => service.get(id)));
    await Promise.all(all.map(({ id }) => service.delete(id)));
    expect(await findLeftovers(service, all)).toEqual([]);
    expect(await sockets.held()).toEqual([]);
  });
});

/** The codes of the close frames of a server, which are never masked and short. */
function closeCodes(bytes: Buffer): string {
  const at = bytes.lastIndexOf(0x88);
  return at < 0 ? '' : String(bytes.readUInt16BE(at + 2));
}

import { connect } from 'node:net';
import { Agent } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  call,
  echo,
  type EdgeServer,
  initialize,
  note,
  startEdge,
} from '../../../../test/support/edge-server.js';
import { exchange } from '../../../../test/support/http-exchange.js';

let edge: EdgeServer;

beforeEach(async () => {
  edge = await startEdge(echo);
});

afterEach(async () => {
  expect(edge.faults).toEqual([]);
  await edge.close();
});

describe('the Streamable HTTP edge refuses', () => {
  it.each(['PUT', 'PATCH', 'OPTIONS'])('%s with 405 and the methods it has', async (method) => {
    const reply = await (await exchange(edge.port, { method })).whole();
    expect(reply.status).toBe(405);
    expect(reply.headers.allow).toBe('GET, POST, DELETE');
    expect(reply.json).toMatchObject({ jsonrpc: '2.0', id: null, error: { message: 'Method Not Allowed' } });
  });

  it.each([
    'text/html',
    'application/xml, image/*',
    'application/json;q=0, text/event-stream; q=0',
    'application/json;q=0.0',
  ])('a POST that accepts %s with 406', async (accept) => {
    expect((await edge.ask(initialize(), { accept })).status).toBe(406);
  });

  it('a GET that does not accept an event stream with 406', async () => {
    expect((await edge.listen({ ...(await edge.open()), accept: 'application/json' })).status).toBe(406);
  });

  it.each([undefined, 'text/plain', 'application/jsonp', 'multipart/form-data; boundary=x'])(
    'a body of type %s with 415',
    async (type) => {
      expect((await edge.ask(initialize(), { 'content-type': type })).status).toBe(415);
    },
  );

  it.each(['{', '', '[', '{"jsonrpc":"2.0","method":"a\nb"}'])('%j with 400 as no JSON', async (body) => {
    const reply = await (await edge.ask(body)).whole();
    expect(reply.status).toBe(400);
    expect(reply.json).toMatchObject({ id: null, error: { code: -32700 } });
  });

  it('a body that is not UTF-8 with 400', async () => {
    const body = Buffer.concat([
      Buffer.from('{"jsonrpc":"2.0","method":"'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('"}'),
    ]);
    const reply = await (await edge.ask(body)).whole();
    expect(reply.status).toBe(400);
    expect(reply.json).toMatchObject({ error: { code: -32700 } });
  });

  it.each([
    ['1', 'JSON object'],
    ['[]', 'empty'],
    ['[1]', 'JSON object'],
    ['{"jsonrpc":"2.0","id":null,"method":"initialize"}', '"id"'],
    ['{"jsonrpc":"2.0","id":1,"id":2,"method":"initialize"}', 'twice'],
  ])('%s with 400 as no message', async (body, why) => {
    const reply = await (await edge.ask(body)).whole();
    expect(reply.status).toBe(400);
    expect(reply.json).toMatchObject({
      error: { code: -32600, message: expect.stringContaining(why) as string },
    });
  });

  it('initialize in a batch, and a second initialize of a session, with 400', async () => {
    expect((await edge.ask([initialize()])).status).toBe(400);
    const session = await edge.open();
    const reply = await (await edge.ask(initialize(), session)).whole();
    expect(reply.status).toBe(400);
    expect(reply.json).toMatchObject({
      error: { message: expect.stringContaining('already initialized') as string },
    });
    expect(edge.processes).toHaveLength(1);
  });

  it('batches with 400 in revisions that have none', async () => {
    for (const revision of ['2024-11-05', '2025-06-18', '2025-11-25']) {
      expect((await edge.ask([call(1)], await edge.open(revision))).status, revision).toBe(400);
    }
  });

  it('a protocol version nobody knows with 400 that names the known ones, whatever the method', async () => {
    const headers = { ...(await edge.open()), 'mcp-protocol-version': '1999-01-01' };
    for (const sent of [edge.ask(call(1), headers), edge.listen(headers), edge.remove(headers)]) {
      const reply = await (await sent).whole();
      expect(reply.status).toBe(400);
      expect(reply.text).toContain('2025-11-25');
    }
  });

  it('a request outside a session with 400, and of a session it does not know with 404', async () => {
    for (const [headers, status] of [
      [{}, 400],
      [{ 'mcp-session-id': 'unknown' }, 404],
      [{ 'mcp-session-id': '' }, 404],
    ] as const) {
      expect((await edge.ask(call(1), headers)).status).toBe(status);
      expect((await edge.ask(note('notifications/initialized'), headers)).status).toBe(status);
      expect((await edge.listen(headers)).status).toBe(status);
      expect((await edge.remove(headers)).status).toBe(status);
    }
  });

  it("another principal's session with 404, and leaves it alone", async () => {
    const session = await edge.open();
    const foreign = { ...session, 'x-principal': 'other' };
    for (const sent of [edge.ask(call(1), foreign), edge.listen(foreign), edge.remove(foreign)]) {
      expect((await sent).status).toBe(404);
    }
    expect((await edge.ask(call(1), session)).status).toBe(200);
  });

  it.each(['x', '0', '1-', '-1', '99-1', '0-1-2', '0-12345678901'])(
    'the unknown event id %s with 400',
    async (id) => {
      const reply = await edge.listen({ ...(await edge.open()), 'last-event-id': id });
      expect(reply.status).toBe(400);
    },
  );

  it('a body over the limit with 413, said or not, and the connection stays good', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const body = Buffer.alloc(8 << 20, ' ');
    const session = await edge.open();
    for (const headers of [{ 'content-length': String(body.length) }, { 'transfer-encoding': 'chunked' }]) {
      const refused = await (await exchange(edge.port, { headers, body, agent })).whole();
      expect(refused.status).toBe(413);
      const next = await exchange(edge.port, { headers: session, body: JSON.stringify(call(1)), agent });
      expect((await next.whole()).status).toBe(200);
    }
    agent.destroy();
  });

  it('nothing of a body exactly as large as the limit', async () => {
    const text = JSON.stringify(call(1));
    const reply = await edge.ask(text.padEnd(1 << 20), await edge.open());
    expect(reply.status).toBe(200);
  });

  it('nothing of a client that leaves in the middle of its body, and keeps nothing of it', async () => {
    const socket = connect(edge.port, '127.0.0.1');
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"jsonrpc"',
    );
    await expect.poll(() => edge.counts.handled).toBe(1);
    socket.destroy();
    await expect.poll(() => edge.counts.handled).toBe(0);
    expect(edge.sessions.count('dp_a')).toBe(0);
  });

  it('nothing a sandbox could use: no answer is cached, sniffed or a page', async () => {
    const session = await edge.open();
    const replies = [
      await edge.ask(call(1), session),
      await edge.ask('{'),
      await edge.ask(note('n'), session),
      await edge.listen(session),
    ];
    for (const { headers } of replies) {
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['cache-control']).toContain('no-store');
      expect(['application/json', 'text/event-stream', undefined]).toContain(headers['content-type']);
    }
  });
});

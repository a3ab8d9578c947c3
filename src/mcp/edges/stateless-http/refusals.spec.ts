import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, echo, type EdgeServer, note, startEdge } from '../../../../test/support/edge-server.js';
import { headersOf, modern, tool } from '../../../../test/support/modern-request.js';

let edge: EdgeServer;

beforeAll(async () => {
  edge = await startEdge(echo);
});

afterAll(async () => {
  expect(edge.faults).toEqual([]);
  expect(edge.counts.leases).toBe(0);
  expect(edge.counts.calls).toBe(0);
  await edge.close();
});

const list = modern(7, 'tools/list');
const { _meta: envelope } = list.params;
const withMeta = (key: string, value: unknown): object => ({
  ...list,
  params: { _meta: { ...envelope, [key]: value } },
});
/** What is undefined is no member of the JSON. */
const without = (key: string): object => withMeta(key, undefined);

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const INFO = 'io.modelcontextprotocol/clientInfo';

/** Before a server is asked anything. */
describe('a request of the modern era is refused', () => {
  it.each([
    ['its envelope has no revision', without(VERSION), {}, 400, -32602, VERSION],
    ['its revision is no text', withMeta(VERSION, 20), {}, 400, -32602, VERSION],
    ['its envelope has no capabilities', without(CAPABILITIES), {}, 400, -32602, CAPABILITIES],
    ['its capabilities are no object', withMeta(CAPABILITIES, []), {}, 400, -32602, CAPABILITIES],
    ['its client info is no object', withMeta(INFO, 'me'), {}, 400, -32602, INFO],
    ['it has no params', { jsonrpc: '2.0', id: 7, method: 'tools/list' }, {}, 400, -32602, VERSION],
    [
      'the version header is missing',
      list,
      { 'mcp-protocol-version': undefined },
      400,
      -32020,
      'MCP-Protocol-Version',
    ],
    [
      'the version header differs',
      list,
      { 'mcp-protocol-version': '2025-11-25' },
      400,
      -32020,
      'MCP-Protocol-Version',
    ],
    ['the method header is missing', list, { 'mcp-method': undefined }, 400, -32020, 'Mcp-Method'],
    ['the method header differs', list, { 'mcp-method': 'tools/call' }, 400, -32020, 'Mcp-Method'],
    ['the method header differs in case', list, { 'mcp-method': 'Tools/List' }, 400, -32020, 'Mcp-Method'],
    ['the name header is missing', { ...tool(7) }, { 'mcp-method': 'tools/call' }, 400, -32020, 'Mcp-Name'],
    [
      'the name header differs',
      { ...tool(7) },
      { 'mcp-method': 'tools/call', 'mcp-name': 'x' },
      400,
      -32020,
      'Mcp-Name',
    ],
    [
      'there is a name header without a name',
      modern(7, 'tools/call'),
      { 'mcp-method': 'tools/call', 'mcp-name': 'x' },
      400,
      -32020,
      'Mcp-Name',
    ],
    ...['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'].map(
      (method) =>
        [
          `${method} is of the other era`,
          modern(7, method),
          { 'mcp-method': method },
          404,
          -32601,
          method,
        ] as const,
    ),
  ] as const)('when %s', async (_why, body, headers, status, code, detail) => {
    const reply = await (await edge.ask(body, { ...headersOf(list), ...headers })).whole();
    expect([reply.status, reply.json]).toMatchObject([
      status,
      { jsonrpc: '2.0', id: 7, error: { code, message: expect.stringContaining(detail) as unknown } },
    ]);
    expect(edge.processes).toHaveLength(0);
  });

  it('when its revision is none we know, with those we do', async () => {
    const body = modern(7, 'tools/list', {}, { revision: '2099-01-01' });
    const reply = await (
      await edge.ask(body, { ...headersOf(list), 'mcp-protocol-version': '2099-01-01' })
    ).whole();
    expect(reply.status).toBe(400);
    expect(reply.json).toMatchObject({
      id: 7,
      error: {
        code: -32022,
        data: { requested: '2099-01-01', supported: ['2026-07-28'] },
      },
    });
  });

  it('when it is part of a batch', async () => {
    const reply = await (await edge.ask([list, call(1)])).whole();
    expect([reply.status, reply.json]).toMatchObject([400, { error: { code: -32600 } }]);
  });

  it('when it is a response', async () => {
    const reply = await (await edge.ask({ jsonrpc: '2.0', id: 1, result: {} }, headersOf(list))).whole();
    expect([reply.status, reply.json]).toMatchObject([400, { error: { code: -32600 } }]);
  });

  it('when it wants a subscription without a stream', async () => {
    const listen = modern(7, 'subscriptions/listen', { notifications: {} });
    const reply = await (
      await edge.ask(listen, { ...headersOf(listen), accept: 'application/json' })
    ).whole();
    expect(reply.status).toBe(406);
  });

  it.each(['GET', 'DELETE'] as const)('when it is a %s', async (method) => {
    const headers = { 'mcp-protocol-version': '2026-07-28' };
    const asked = method === 'GET' ? edge.listen(headers) : edge.remove(headers);
    const reply = await (await asked).whole();
    expect([reply.status, reply.headers.allow]).toEqual([405, 'POST']);
  });
});

describe('of what is not refused', () => {
  it('a notification is taken and goes nowhere', async () => {
    const reply = await (await edge.ask(note('notifications/x'), headersOf(list))).whole();
    expect([reply.status, reply.text]).toEqual([202, '']);
    expect(edge.processes).toHaveLength(0);
  });

  it('a request without any claim is one of the other era', async () => {
    const reply = await (await edge.ask(call(1))).whole();
    expect([reply.status, reply.json]).toMatchObject([
      400,
      { error: { message: expect.stringContaining('Mcp-Session-Id') as unknown } },
    ]);
  });

  it('a session id means nothing', async () => {
    const reply = await (await edge.ask(list, { ...headersOf(list), 'mcp-session-id': 'nobody' })).whole();
    expect(reply.status).toBe(200);
    expect(reply.headers['mcp-session-id']).toBeUndefined();
  });
});

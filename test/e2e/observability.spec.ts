import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerText, RawClient } from '../support/client-raw.js';
import { tokenOf } from '../support/client.js';
import { headersOf, modern } from '../support/modern-request.js';
import {
  ARGUMENT_SECRET,
  type ClientTrace,
  METRICS_KEY,
  newTrace,
  ObservedGround,
} from '../support/observed-ground.js';
import { attributesOf } from '../support/otlp-collector.js';
import type { PrometheusText } from '../support/prometheus-text.js';
import { RawSseClient } from '../support/sse-client.js';
import { RawWebSocketClient } from '../support/websocket-client.js';

const CALL = { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'meta', arguments: {} } };
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
};
const SERVER_KIND = 2;

let ground: ObservedGround;

beforeAll(async () => {
  ground = await ObservedGround.start();
});

afterAll(() => ground.stop());

/** What the server in the sandbox got as `_meta`. */
function metaIn(answer: unknown): Record<string, unknown> {
  const { result } = answer as { result?: { _meta?: Record<string, unknown> } };
  const { _meta: meta = {} } = result ?? {};
  return meta;
}

/** A call of revision 2026-07-28 by a client that belongs to a trace. */
async function callModern({ traceparent }: ClientTrace): Promise<Record<string, unknown>> {
  const message = modern(1, 'tools/call', { name: 'meta', arguments: {} });
  const headers = { ...headersOf(message), traceparent } as Record<string, string>;
  const client = new RawClient(ground.deployment.urls.mcp, tokenOf(ground.deployment));
  return metaIn((await client.post(message, { headers })).messages.at(-1));
}

/** The client's span, ours, and what the server takes for its parent are one line. */
async function expectLine(trace: ClientTrace, meta: Record<string, unknown>, edge: string): Promise<void> {
  const span = await ground.span(trace.traceId, 'tools/call meta');
  expect([span.parentSpanId, span.kind]).toEqual([trace.spanId, SERVER_KIND]);
  expect(meta['traceparent']).toBe(`00-${trace.traceId}-${span.spanId}-01`);
  expect(attributesOf(span)).toMatchObject({
    'mcp.method.name': 'tools/call',
    'gen_ai.tool.name': 'meta',
    'mcp_runner.deployment.id': ground.deployment.id,
    'mcp_runner.edge': edge,
    'mcp_runner.outcome': 'ok',
  });
}

describe('traces', () => {
  it('go from the client through us to the server in the sandbox, over Streamable HTTP', async () => {
    const client = await ground.client();
    const trace = newTrace();
    const headers = { traceparent: trace.traceparent, tracestate: 'vendor=1' };
    const meta = metaIn((await client.call(7, 'meta', {}, { headers })).messages.at(-1));
    await expectLine(trace, meta, 'streamable_http');
    expect(meta['tracestate']).toBe('vendor=1');
    const garbled = await client.call(
      8,
      'meta',
      {},
      { headers: { traceparent: 'garbage', tracestate: 'x=1' } },
    );
    const own = metaIn(garbled.messages.at(-1));
    expect(own['traceparent']).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
    expect(own['tracestate']).toBeUndefined();
    await client.end();
  });

  it('likewise in revision 2026-07-28, and over HTTP+SSE and WebSocket', async () => {
    const { deployment, service, sessionIds } = ground;
    const [first, second, third] = [newTrace(), newTrace(), newTrace()];
    await expectLine(first, await callModern(first), 'streamable_http');

    const sse = await RawSseClient.connect(service.port, tokenOf(deployment), `/mcp-server/${deployment.id}`);
    sessionIds.push(String(new URLSearchParams(sse.endpoint.split('?')[1]).get('sessionId')));
    await sse.ask(INITIALIZE, 1);
    await sse.post(CALL, { traceparent: second.traceparent });
    await sse.until(2);
    await expectLine(second, metaIn(sse.messages[1]), 'sse');
    sse.leave();

    const ws = await RawWebSocketClient.connect(deployment.urls.ws, { headers: tokenOf(deployment) });
    await ws.ask(INITIALIZE, 1);
    const params = { ...CALL.params, _meta: { traceparent: third.traceparent } };
    await ws.ask({ ...CALL, params }, 2);
    await expectLine(third, metaIn(ws.messages[1]), 'websocket');
    ws.ws.close();
  });

  it('show that a call has woken its deployment', async () => {
    const { service, deployment } = ground;
    await service.api('POST', `/api/deployment/${deployment.id}/pause?wait=60`);
    expect((await service.get(deployment.id)).status).toBe('paused');
    const trace = newTrace();
    await callModern(trace);
    const call = await ground.span(trace.traceId, 'tools/call meta');
    const wake = await ground.span(trace.traceId, 'deployment wake');
    expect(wake.parentSpanId).toBe(call.spanId);
    expect(attributesOf(wake)).toEqual({
      'mcp_runner.deployment.id': deployment.id,
      'mcp_runner.start.kind': 'wake',
      'mcp_runner.start.code': 'ready',
    });
  });
});

/** A name that nobody has thought of before. */
function inventName(): string {
  return randomBytes(9).toString('base64url');
}

/** Series that calls of clients make. */
function countSeries({ metrics }: PrometheusText): number {
  return [...metrics]
    .filter(([metric]) => /^mcp_runner_(gateway|http)_/.test(metric))
    .reduce((sum, [, { series }]) => sum + series.size, 0);
}

describe('metrics', () => {
  it('are for who has a key, and the scraper’s opens nothing else', async () => {
    const { service, deployment } = ground;
    const refused: Record<string, string>[] = [
      {},
      { 'x-api-key': '' },
      { 'x-api-key': 'wrong' },
      { authorization: `Bearer ${service.apiKey}x` },
      { authorization: METRICS_KEY },
      tokenOf(deployment),
    ];
    for (const headers of refused) expect(await ground.status('/metrics', headers)).toBe(401);
    const opening: Record<string, string>[] = [
      { 'x-api-key': METRICS_KEY },
      { authorization: `Bearer ${METRICS_KEY}` },
      { 'x-api-key': service.apiKey },
      { authorization: `Bearer ${service.apiKey}` },
    ];
    for (const headers of opening) expect(await ground.status('/metrics', headers)).toBe(200);
    expect(await ground.status('/api/deployment', { 'x-api-key': METRICS_KEY })).toBe(401);
    const scraper = new RawClient(deployment.urls.mcp, { authorization: `Bearer ${METRICS_KEY}` });
    expect((await scraper.post(CALL)).status).toBe(401);
    expect(
      (await ground.scrape()).sum('mcp_runner_http_responses_total', { route: 'metrics', status: '401' }),
    ).toBe(6);
  });

  it('count what was done', async () => {
    const client = await ground.client();
    const before = await ground.scrape();
    for (let i = 0; i < 3; i++) await client.call(i, 'echo', { text: ARGUMENT_SECRET });
    await client.call(3, 'no such tool');
    await client.post({ jsonrpc: '2.0', id: 4, method: 'no/such/method' });
    await ground.refusedUpgrade({});
    const after = await ground.scrape();
    const more = (method: string, outcome: string): number => {
      const labels = { edge: 'streamable_http', method, outcome };
      const name = 'mcp_runner_gateway_requests_total';
      return (after.value(name, labels) ?? 0) - (before.value(name, labels) ?? 0);
    };
    expect([more('tools/call', 'ok'), more('tools/call', 'tool_error'), more('other', 'error')]).toEqual([
      3, 1, 1,
    ]);
    const timed = 'mcp_runner_gateway_request_duration_seconds_count';
    expect(after.sum(timed) - before.sum(timed)).toBe(5);
    const answers = 'mcp_runner_http_responses_total';
    expect(after.value(answers, { route: 'ws', status: '101' })).toBeGreaterThanOrEqual(1);
    const refusals = { route: 'ws', status: '401' };
    expect((after.value(answers, refusals) ?? 0) - (before.value(answers, refusals) ?? 0)).toBe(1);
    expect(after.value('mcp_runner_deployments', { status: 'running' })).toBe(1);
    expect(after.value('mcp_runner_gateway_requests_in_flight')).toBe(0);
    expect(after.value('mcp_runner_deployment_starts_total', { kind: 'wake', code: 'ready' })).toBe(1);
    expect(after.value('mcp_runner_server_processes')).toBeGreaterThanOrEqual(1);
    expect(after.value('mcp_runner_sessions', { state: 'serving' })).toBeGreaterThanOrEqual(1);
    expect(after.sum('mcp_runner_engine_call_duration_seconds_count', { verb: 'create_container' })).toBe(2);
    expect(after.value('mcp_runner_engine_up')).toBe(1);
    expect(after.value('mcp_runner_database_bytes')).toBeGreaterThan(0);
    await client.end();
  });

  it('are as many after 200 calls with whatever names a client can think of', async () => {
    const { service } = ground;
    const client = await ground.client();
    const get = async (path: string): Promise<void> => {
      await ground.status(path, { 'x-api-key': inventName() });
    };
    const invent = async (): Promise<void> => {
      const params = { name: inventName() };
      await Promise.all([
        client.post({ jsonrpc: '2.0', id: inventName(), method: `m/${inventName()}`, params }),
        client.call(inventName(), inventName()),
        get(`/${inventName()}`),
        get(`/mcp-server/dp_${inventName()}/mcp`),
        get(`/mcp-server/dp_${inventName()}/${inventName()}`),
        get(`/api/${inventName()}`),
      ]);
    };
    await invent();
    const before = countSeries(await ground.scrape());
    for (let i = 0; i < 100; i++) await invent();
    const after = await ground.scrape();
    expect(countSeries(after)).toBe(before);
    expect(after.sum('mcp_runner_gateway_requests_total', { method: 'other' })).toBeGreaterThan(100);
    expect(after.size).toBeLessThan(2000);
    expect(service.log).toContain('request_served');
    await client.end();
  });
});

describe('request ids', () => {
  it('are the client’s where they are well-formed, on every kind of answer, and in the log', async () => {
    const { service } = ground;
    const id = `mine-${randomBytes(8).toString('hex')}`;
    const client = await ground.client();
    const headers = { 'x-request-id': id };
    const answer = await client.call(1, 'echo', { text: 'x' }, { headers });
    expect([answerText(answer), answer.headers.get('x-request-id')]).toEqual(['x', id]);
    const key = { 'x-api-key': service.apiKey, ...headers };
    const problem = await service.api<{ requestId: string }>('GET', '/api/deployment/dp_0', undefined, key);
    const { status, body } = problem;
    expect([status, body.requestId, problem.headers.get('x-request-id')]).toEqual([404, id, id]);
    expect(await ground.refusedUpgrade(headers)).toEqual([401, id]);
    const logged = (): number => service.log.split(`"requestId":"${id}"`).length - 1;
    await expect.poll(logged, { timeout: 30_000 }).toBe(2);
    await client.end();
  });

  it('are ours where they are not', async () => {
    for (const bad of ['', 'a b', '<script>', 'x'.repeat(129), 'a,b', '"']) {
      const { headers } = await fetch(`${ground.service.origin}/health`, {
        headers: { 'x-request-id': bad },
      });
      expect(headers.get('x-request-id')).toMatch(/^[\da-f]{8}-[\da-f-]{27}$/);
    }
  });
});

describe('secrets', () => {
  it('are in no log line, all of which are JSON with the fields that every line has', () => {
    const { service, secrets } = ground;
    expect(secrets.length).toBeGreaterThanOrEqual(10);
    const lines = service.log.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(200);
    for (const line of lines) {
      expect(JSON.parse(line)).toMatchObject({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/),
        level: expect.stringMatching(/^(info|warn|debug)$/),
        event: expect.stringMatching(/./),
        message: expect.stringMatching(/./),
      });
    }
    for (const secret of secrets) expect(service.log).not.toContain(secret);
  });

  it('are in nothing that the collector got, and neither are paths or arguments', () => {
    const { collector, secrets } = ground;
    expect(collector.spans.length).toBeGreaterThan(200);
    const received = collector.received.join('\n');
    for (const secret of [...secrets, '/mcp-server/', 'arguments']) expect(received).not.toContain(secret);
    expect(received).toContain('"mcp-runner"');
  });
});

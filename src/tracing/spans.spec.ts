import {
  InMemorySpanExporter,
  BasicTracerProvider,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Start } from '../deployments/start-watch.js';
import type { CallFacts } from '../mcp/edges/calls/call.js';
import type { TraceContext } from '../mcp/edges/calls/trace-context.js';
import { Spans } from './spans.js';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01`, tracestate: 'a=1' };

let exporter: InMemorySpanExporter;
let spans: Spans;

beforeEach(() => {
  exporter = new InMemorySpanExporter();
  spans = new Spans(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer('spec'),
  );
});

function begin(facts: Partial<CallFacts> = {}, parent?: TraceContext, name = 'echo') {
  return spans.begin(
    { edge: 'sse', deploymentId: 'dp_1', method: 'tools/call', arrivedAt: performance.now(), ...facts },
    parent,
    () => name,
  );
}

function ended() {
  return exporter.getFinishedSpans().map((span) => ({
    name: span.name,
    parent: span.parentSpanContext?.spanId,
    traceId: span.spanContext().traceId,
    attributes: span.attributes,
    status: span.status.code,
  }));
}

describe('the span of a call', () => {
  it('is a child of what the client named, and the server gets it as its parent', () => {
    const span = begin({}, PARENT);
    span?.end({ outcome: 'ok' });
    expect(ended()).toEqual([
      {
        name: 'tools/call echo',
        parent: '00f067aa0ba902b7',
        traceId: TRACE_ID,
        attributes: {
          'mcp.method.name': 'tools/call',
          'gen_ai.tool.name': 'echo',
          'gen_ai.operation.name': 'execute_tool',
          'network.transport': 'tcp',
          'network.protocol.name': 'http',
          'mcp_runner.edge': 'sse',
          'mcp_runner.deployment.id': 'dp_1',
          'mcp_runner.outcome': 'ok',
        },
        status: 0,
      },
    ]);
    const own = exporter.getFinishedSpans()[0]?.spanContext().spanId;
    expect(span?.context).toEqual({ traceparent: `00-${TRACE_ID}-${String(own)}-01`, tracestate: 'a=1' });
  });

  it.each([
    [{ outcome: 'error', reason: '-32601' }, '-32601', '-32601'],
    [{ outcome: 'error', reason: '502' }, '502', undefined],
    [{ outcome: 'tool_error' }, 'tool_error', undefined],
    [{ outcome: 'refused', reason: 'session_limit' }, 'session_limit', undefined],
  ] as const)('that ends with %j has failed with the type %s', (end, type, code) => {
    begin()?.end(end);
    const [span] = ended();
    expect(span?.status).toBe(2);
    expect(span?.attributes).toMatchObject({ 'error.type': type });
    expect(span?.attributes['rpc.response.status_code']).toBe(code);
  });

  it('is none where the client’s trace is not sampled', () => {
    const parent = { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-00`, tracestate: undefined };
    expect(begin({}, parent)).toBeUndefined();
  });

  it('repeats no more of a hostile client than a method’s name and the beginning of a tool’s', () => {
    begin({ method: 'x y\n' }, undefined, 'secret')?.end({ outcome: 'cancelled' });
    begin({ method: '__proto__' }, undefined, 'secret')?.end({ outcome: 'ok' });
    begin({}, undefined, 'x'.repeat(100_000))?.end({ outcome: 'ok' });
    begin({ method: 'prompts/get' }, undefined, '')?.end({ outcome: 'ok' });
    expect(ended().map(({ name }) => name)).toEqual([
      'other',
      '__proto__',
      `tools/call ${'x'.repeat(128)}`,
      'prompts/get',
    ]);
    expect(JSON.stringify(ended())).not.toContain('secret');
  });
});

it('lasts from the arrival of its request to its end, however short that is', () => {
  begin({ arrivedAt: performance.now() - 2000.25 })?.end({ outcome: 'ok' });
  begin()?.end({ outcome: 'ok' });
  const [long, short] = exporter.getFinishedSpans().map(({ duration: [s, ns] }) => s * 1e3 + ns / 1e6);
  expect(long).toBeGreaterThan(2000);
  expect(long).toBeLessThan(60_000);
  expect(short).toBeGreaterThan(0);
});

describe('the span of a start', () => {
  const wake: Start = { deploymentId: 'dp_1', kind: 'wake' };

  it('belongs to the call that woke the deployment: the newest that waits, and none that listens', () => {
    const older = begin();
    const newest = begin({}, PARENT);
    begin({ method: 'subscriptions/listen' });
    begin({ deploymentId: 'dp_2' });
    spans.began(wake);
    spans.ended(wake, 'ready');
    older?.end({ outcome: 'ok' });
    newest?.end({ outcome: 'ok' });
    const [start] = ended();
    expect(start).toMatchObject({ name: 'deployment wake', traceId: TRACE_ID, status: 0 });
    expect(start?.parent).toBe(newest?.context.traceparent.split('-')[2]);
    expect(start?.attributes).toEqual({
      'mcp_runner.deployment.id': 'dp_1',
      'mcp_runner.start.kind': 'wake',
      'mcp_runner.start.code': 'ready',
    });
  });

  it('begins a trace of its own where nobody waits, and says why it failed', () => {
    begin({ method: 'subscriptions/listen' }, PARENT);
    begin({}, PARENT)?.end({ outcome: 'ok' });
    spans.began(wake);
    spans.ended(wake, 'image_not_found');
    const start = ended().at(-1);
    expect(start?.parent).toBeUndefined();
    expect(start).toMatchObject({ status: 2, attributes: { 'error.type': 'image_not_found' } });
  });
});

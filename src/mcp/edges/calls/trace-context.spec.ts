import { describe, expect, it } from 'vitest';
import { parseMessage, type Request } from '../../jsonrpc/envelope.js';
import { canCarryTrace, traceOfHeaders, traceOfRequest, withTrace } from './trace-context.js';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE_ID}-00f067aa0ba902b7-01`;

function request(text: string): Request {
  return parseMessage(text) as Request;
}

function requestOf(params?: unknown): Request {
  return request(
    JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', ...(params !== undefined && { params }) }),
  );
}

describe('trace context of headers', () => {
  it('is taken where it is well-formed, together with its state', () => {
    expect(traceOfHeaders({ traceparent: TRACEPARENT })).toEqual({ traceparent: TRACEPARENT });
    for (const tracestate of [
      'congo=t61rcWkgMzE',
      'a=1, b=2',
      'tenant@sys=x',
      'a=,,b=2'.replace('a=,', 'a=1,'),
    ]) {
      expect(traceOfHeaders({ traceparent: TRACEPARENT, tracestate })?.tracestate).toBe(tracestate);
    }
  });

  it.each([
    '',
    'garbage',
    TRACEPARENT.toUpperCase(),
    ` ${TRACEPARENT}`,
    `${TRACEPARENT}-more`,
    `${TRACEPARENT}\n`,
    `${TRACEPARENT}, ${TRACEPARENT}`,
    `ff-${TRACE_ID}-00f067aa0ba902b7-01`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
    `00-${TRACE_ID}-${'0'.repeat(16)}-01`,
    `00-${TRACE_ID}-00f067aa0ba902b7`,
    `00-${TRACE_ID.slice(1)}-00f067aa0ba902b7-01`,
    `00-${TRACE_ID.slice(1)}g-00f067aa0ba902b7-01`,
  ])('is dropped where it is %j', (traceparent) => {
    expect(traceOfHeaders({ traceparent, tracestate: 'a=1' })).toBeUndefined();
  });

  it.each([
    '',
    'a',
    'A=1',
    'a=1,a=2',
    'a=b=c',
    'a=\u0007',
    'a="\n"',
    'ä=1',
    `a=${'x'.repeat(511)}`,
    Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(','),
  ])('goes on without a state that is %j', (tracestate) => {
    expect(traceOfHeaders({ traceparent: TRACEPARENT, tracestate })).toEqual({
      traceparent: TRACEPARENT,
      tracestate: undefined,
    });
  });

  it('judges a long state in no time', () => {
    const began = performance.now();
    for (const tracestate of [
      'a'.repeat(8000),
      'a=1,'.repeat(2000),
      `a=${' '.repeat(8000)}`,
      ','.repeat(8000),
    ]) {
      expect(traceOfHeaders({ traceparent: TRACEPARENT, tracestate })?.tracestate).toBeUndefined();
    }
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe('trace context of a request', () => {
  it('is read from its _meta', () => {
    expect(traceOfRequest(requestOf())).toBeUndefined();
    expect(traceOfRequest(requestOf({ _meta: { other: TRACEPARENT } }))).toBeUndefined();
    expect(traceOfRequest(requestOf({ traceparent: TRACEPARENT }))).toBeUndefined();
    const meta = { traceparent: TRACEPARENT, tracestate: 'a=1', baggage: 'x=y' };
    expect(traceOfRequest(requestOf({ _meta: meta }))).toEqual({
      traceparent: TRACEPARENT,
      tracestate: 'a=1',
    });
  });

  it.each([1, null, {}, 'garbage', 'x'.repeat(100_000)])('is malformed where it is %j', (traceparent) => {
    expect(traceOfRequest(requestOf({ _meta: { traceparent } }))).toBe('malformed');
  });

  it('is not for what is kept and sent again', () => {
    for (const [method, can] of [
      ['tools/call', true],
      ['ping', true],
      ['initialize', false],
      ['logging/setLevel', false],
      ['subscriptions/listen', false],
    ]) {
      expect(canCarryTrace(request(`{"jsonrpc":"2.0","id":1,"method":"${String(method)}"}`))).toBe(can);
    }
  });
});

describe('a request with a trace', () => {
  const trace = { traceparent: TRACEPARENT, tracestate: 'a=1' };
  const put = `"traceparent":"${TRACEPARENT}","tracestate":"a=1"`;

  it.each([
    [
      '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      `{"params":{"_meta":{${put}}},"jsonrpc":"2.0","id":1,"method":"ping"}`,
    ],
    [
      '{"jsonrpc":"2.0","id":1,"method":"m","params":{}}',
      `{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{${put}}}}`,
    ],
    [
      '{"jsonrpc":"2.0","id":"1","method":"m","params":{ "n" : 1e400, "_meta" :{"progressToken":7 , "x":[1.0]}},"future":0}',
      `{"jsonrpc":"2.0","id":"1","method":"m","params":{ "n" : 1e400, "_meta" :{${put},"progressToken":7 , "x":[1.0]}},"future":0}`,
    ],
  ])('differs from %s in nothing else', (before, after) => {
    const changed = withTrace(request(before), trace);
    expect(changed.text).toBe(after);
    expect(traceOfRequest(changed)).toEqual(trace);
    expect(changed).toEqual(request(after));
  });

  it('has one parent and its state', () => {
    const of = requestOf({
      _meta: { traceparent: `00-${TRACE_ID}-00f067aa0ba902b8-00`, tracestate: 'old=1' },
    });
    expect(traceOfRequest(withTrace(of, trace))).toEqual(trace);
    const without = withTrace(of, { traceparent: TRACEPARENT, tracestate: undefined });
    expect(JSON.parse(without.text)).toMatchObject({ params: { _meta: { traceparent: TRACEPARENT } } });
    expect(without.text).not.toContain('tracestate');
  });

  it.each([[[1, 2]], 'text', null, { _meta: 'text' }, { _meta: [] }])(
    'is left as it is where the params are %j',
    (params) => {
      const of = requestOf(params);
      expect(withTrace(of, trace)).toBe(of);
    },
  );
});

import { describe, expect, it } from 'vitest';
import { AppError } from '../../../errors/app-error.js';
import { parseMessage, type Request } from '../../jsonrpc/envelope.js';
import { EdgeError } from '../http/http-reply.js';
import type { CallEnd } from './call-end.js';
import { Calls } from './calls.js';
import type { TraceContext } from './trace-context.js';

const CLIENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const OTHER = '00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01';
const OURS = '00-4bf92f3577b34da6a3ce929d0e0e4736-2222222222222222-01';

function request(params: object = {}, method = 'tools/call'): Request {
  return parseMessage(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })) as Request;
}

function contextOf(traceparent: string): TraceContext {
  return { traceparent, tracestate: undefined };
}

function metaOf({ text }: Request): unknown {
  const { _meta: meta } = (JSON.parse(text) as { params: { _meta?: object } }).params;
  return meta;
}

function watched(method = 'tools/call') {
  const calls = new Calls();
  const ends: CallEnd[] = [];
  const counts = { began: 0 };
  calls.observe({ began: () => counts.began++, ended: (_call, end) => ends.push(end) });
  return { ...calls.begin('sse', 'dp_1', request({}, method), undefined), ends, counts };
}

describe('a call', () => {
  it.each([
    ['tools/call', '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}', { outcome: 'ok' }],
    ['tools/call', '{"jsonrpc":"2.0","id":1,"result":{"isError":true}}', { outcome: 'tool_error' }],
    ['tools/call', '{"jsonrpc":"2.0","id":1,"result":{"isError":false,"error":1}}', { outcome: 'ok' }],
    ['tools/call', '{"jsonrpc":"2.0","id":1,"result":{"x":{"isError":true}}}', { outcome: 'ok' }],
    ['ping', '{"error":', { outcome: 'ok' }],
    ['ping', '{"jsonrpc":"2.0","method":"n","params":{"error":1}}', { outcome: 'ok' }],
    ['resources/read', '{"jsonrpc":"2.0","id":1,"result":{"isError":true}}', { outcome: 'ok' }],
    [
      'ping',
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}',
      { outcome: 'error', reason: '-32601' },
    ],
    ['ping', '{"jsonrpc":"2.0","id":1,"error":{"code":"DROP TABLE","message":"m"}}', { outcome: 'error' }],
  ])('of %s that is answered with %s ends so', (method, text, end) => {
    const { call, ends } = watched(method);
    call.answered(text);
    expect(ends).toEqual([end]);
  });

  it('does not read what is too long to be an error', () => {
    const { call, ends } = watched();
    call.answered(`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"${'x'.repeat(70_000)}"}}`);
    expect(ends).toEqual([{ outcome: 'ok' }]);
  });

  it('ends once, as it ended first', () => {
    const { call, ends, counts } = watched();
    expect(counts.began).toBe(1);
    call.cancelled();
    call.answered('{"jsonrpc":"2.0","id":1,"result":{}}');
    call.refused(new AppError('session_limit'));
    expect(ends).toEqual([{ outcome: 'cancelled' }]);
  });

  it('that no server got says why, in our words only', () => {
    for (const [error, end] of [
      [new AppError('session_limit', { detail: 'secret' }), { outcome: 'refused', reason: 'session_limit' }],
      [new EdgeError(404, 'secret'), { outcome: 'refused', reason: '404' }],
      [new Error('secret'), { outcome: 'refused', reason: 'internal_error' }],
      [new EdgeError(499, 'The client has left'), { outcome: 'cancelled' }],
      [new AppError('request_cancelled'), { outcome: 'cancelled' }],
    ] as const) {
      const { call, ends } = watched();
      call.refused(error);
      expect(ends).toEqual([end]);
    }
  });
});

describe('the trace of a call', () => {
  it('costs nothing where there is none: the request goes on as the object that came', () => {
    const asked = request();
    expect(new Calls().begin('sse', 'dp_1', asked, undefined).request).toBe(asked);
  });

  it('goes on to the server as the headers had it where nobody traces', () => {
    const calls = new Calls();
    const { request: sent } = calls.begin('sse', 'dp_1', request(), contextOf(CLIENT));
    expect(metaOf(sent)).toEqual({ traceparent: CLIENT });
    // What the message says itself is not the business of its transport.
    for (const traceparent of [OTHER, 'garbage']) {
      const own = request({ _meta: { traceparent } });
      expect(calls.begin('sse', 'dp_1', own, contextOf(CLIENT)).request).toBe(own);
    }
    const kept = request({}, 'initialize');
    expect(calls.begin('sse', 'dp_1', kept, contextOf(CLIENT)).request).toBe(kept);
  });

  it('goes through our span where somebody does', () => {
    const calls = new Calls();
    const parents: (string | undefined)[] = [];
    const names: (string | undefined)[] = [];
    calls.traceWith((_call, parent, readName) => {
      parents.push(parent?.traceparent);
      names.push(readName());
      return { context: contextOf(OURS), end: () => undefined };
    });
    const sent = [
      calls.begin('sse', 'dp_1', request({ name: 'echo' }), contextOf(CLIENT)),
      calls.begin('sse', 'dp_1', request({ _meta: { traceparent: OTHER } }), contextOf(CLIENT)),
      calls.begin('sse', 'dp_1', request(), undefined),
      calls.begin('sse', 'dp_1', request({ _meta: { traceparent: 'garbage' } }), contextOf(CLIENT)),
    ].map((begun) => metaOf(begun.request));
    expect(parents).toEqual([CLIENT, OTHER, undefined, undefined]);
    expect(names).toEqual(['echo', undefined, undefined, undefined]);
    const ours = { traceparent: OURS };
    expect(sent).toEqual([ours, ours, ours, { traceparent: 'garbage' }]);
    const direct = { method: 'tools/call', name: 'echo', arrivedAt: performance.now() };
    expect(calls.beginUnread('sse', 'dp_1', direct, contextOf(CLIENT)).context).toEqual(ours);
  });

  it('goes on as it came where our sampler does not want it', () => {
    const calls = new Calls();
    calls.traceWith(() => undefined);
    const { request: sent } = calls.begin('sse', 'dp_1', request(), contextOf(CLIENT));
    expect(metaOf(sent)).toEqual({ traceparent: CLIENT });
    const direct = { method: 'tools/call', name: 'echo', arrivedAt: performance.now() };
    expect(calls.beginUnread('sse', 'dp_1', direct, contextOf(CLIENT)).context).toEqual(contextOf(CLIENT));
  });
});

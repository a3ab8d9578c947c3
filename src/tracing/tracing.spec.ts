import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Logger } from '@nestjs/common';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Config } from '../config/config.js';
import { DeploymentEvents } from '../deployments/deployment-events.js';
import { StartWatch } from '../deployments/start-watch.js';
import { Calls } from '../mcp/edges/calls/calls.js';
import { parseMessage, type Request } from '../mcp/jsonrpc/envelope.js';
import { Tracing } from './tracing.js';

Logger.overrideLogger(false);

const PING = parseMessage('{"jsonrpc":"2.0","id":1,"method":"ping"}') as Request;

function newTracing(changes: Partial<Config>) {
  const calls = new Calls();
  const tracing = new Tracing(
    Object.assign(new Config(), changes),
    calls,
    new StartWatch(new DeploymentEvents()),
  );
  return { calls, tracing };
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('tracing', () => {
  it('is off unless somebody wants it: requests are not touched', async () => {
    const { calls, tracing } = newTracing({});
    await tracing.onModuleInit();
    expect(calls.begin('sse', 'dp_1', PING, undefined).request).toBe(PING);
    await tracing.onApplicationShutdown();
  });

  it('does not hold up the end of the service when its collector takes everything and answers nothing', async () => {
    const asked: string[] = [];
    const silent = createServer((req) => asked.push(req.url ?? '')).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as AddressInfo;
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${port}`);
    const { calls, tracing } = newTracing({ traceProtocol: 'http/protobuf' });
    await tracing.onModuleInit();
    const { call, request } = calls.begin('sse', 'dp_1', PING, undefined);
    expect(request.text).toMatch(/"traceparent":"00-[\da-f]{32}-[\da-f]{16}-01"/);
    call.answered('{"jsonrpc":"2.0","id":1,"result":{}}');
    const began = performance.now();
    await tracing.onApplicationShutdown();
    // The exporter itself would wait for 10 s.
    expect(performance.now() - began).toBeLessThan(8000);
    expect(asked).toEqual(['/v1/traces']);
    silent.closeAllConnections();
    silent.close();
  });
});

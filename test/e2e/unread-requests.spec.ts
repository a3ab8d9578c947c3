import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RawClient } from '../support/client-raw.js';
import { tokenOf } from '../support/client.js';
import { dualEraImage } from '../support/fixture-image.js';
import { headersOf, modern } from '../support/modern-request.js';
import { newTrace, ObservedGround } from '../support/observed-ground.js';
import { attributesOf } from '../support/otlp-collector.js';

describe('the trace of a request that passes unread', () => {
  let ground: ObservedGround;

  beforeAll(async () => {
    ground = await ObservedGround.start();
  });

  afterAll(() => ground.stop());
  it('begins with the request, though the server has to be woken for it', async () => {
    const { service, collector } = ground;
    const endpoint = 'http://localhost:3456/mcp';
    const transport = { type: 'streamable_http', endpoint } as const;
    const deployment = await service.deploy({
      image: await dualEraImage(),
      transport,
      args: ['--http', '3456'],
    });
    const { id } = deployment;
    await service.api('POST', `/api/deployment/${id}/pause?wait=60`);
    const trace = newTrace();
    const message = modern(1, 'tools/list', {});
    const headers = { ...headersOf(message), traceparent: trace.traceparent } as Record<string, string>;
    await new RawClient(deployment.urls.mcp, tokenOf(deployment)).post(message, { headers });
    const call = await ground.span(trace.traceId, 'tools/list');
    const wake = collector.spans.find(
      (span) => span.name === 'deployment wake' && attributesOf(span)['mcp_runner.deployment.id'] === id,
    );
    expect(BigInt(call.startTimeUnixNano)).toBeLessThanOrEqual(BigInt(wake?.startTimeUnixNano ?? 0));
    await service.delete(id);
  });
});

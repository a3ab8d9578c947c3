import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openTracer } from './otlp-tracer.js';

const told: string[] = [];
const log = {
  misconfigured: (message: string) => void told.push(`misconfigured ${message}`),
  failed: (why: string) => void told.push(`failed ${why}`),
  recovered: () => void told.push('recovered'),
};

let collector: Server | undefined;

/** What the SDK reads itself. */
function configure(variables: Record<string, string>): void {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
}

async function collect(status: () => number): Promise<{ endpoint: string; bodies: string[] }> {
  const bodies: string[] = [];
  collector = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      bodies.push(Buffer.concat(chunks).toString());
      res.writeHead(status(), { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => collector?.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo;
  return { endpoint: `http://127.0.0.1:${port}`, bodies };
}

afterEach(async () => {
  vi.unstubAllEnvs();
  told.length = 0;
  collector?.closeAllConnections();
  await new Promise((resolve) => (collector ? collector.close(resolve) : resolve(undefined)));
  collector = undefined;
});

describe('the tracer', () => {
  it('sends what the standard variables say to where they say', async () => {
    const { endpoint, bodies } = await collect(() => 200);
    configure({
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_SERVICE_NAME: 'my-runner',
      OTEL_RESOURCE_ATTRIBUTES: 'a=b',
    });
    const { tracer, close } = openTracer('http/json', '1.2.3', log);
    tracer.startSpan('one').end();
    await close();
    expect(bodies).toHaveLength(1);
    for (const text of ['"one"', 'my-runner', '"1.2.3"', '"a"']) expect(bodies[0]).toContain(text);
    expect(told).toEqual([]);
  });

  it('samples as told, and says so where that cannot be', () => {
    configure({ OTEL_TRACES_SAMPLER: 'always_off' });
    expect(openTracer('http/protobuf', '1', log).tracer.startSpan('s').isRecording()).toBe(false);
    expect(told).toEqual([]);
    configure({ OTEL_TRACES_SAMPLER: 'sometimes' });
    openTracer('http/protobuf', '1', log);
    expect(told).toEqual([expect.stringMatching(/^misconfigured .*"sometimes"/)]);
  });

  it('tells once that its collector is away, once that it is back, and keeps no more than its queue meanwhile', async () => {
    let status = 400;
    const { endpoint, bodies } = await collect(() => status);
    configure({
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_BSP_MAX_QUEUE_SIZE: '20',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '10',
      OTEL_BSP_SCHEDULE_DELAY: '1',
    });
    const { tracer, close } = openTracer('http/json', '1', log);
    for (let batch = 0; batch < 5; batch++) {
      const before = bodies.length;
      for (let i = 0; i < 1000; i++) tracer.startSpan('lost').end();
      await expect.poll(() => bodies.length).toBeGreaterThan(before);
    }
    await expect.poll(() => told.length).toBe(1);
    status = 200;
    await expect
      .poll(() => {
        tracer.startSpan('kept').end();
        return told.length;
      })
      .toBe(2);
    await close();
    expect(told[0]).toMatch(/^failed /);
    expect(told[1]).toBe('recovered');
    const sent = bodies.join('').match(/"lost"/g)?.length ?? 0;
    expect(sent).toBeLessThanOrEqual(5 * 60);
  });
});

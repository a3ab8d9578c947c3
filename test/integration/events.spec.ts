import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Exchange } from '../support/http-exchange.js';
import { Service } from '../support/service.js';
import { send } from '../support/sse-client.js';

let service: Service;
const streams: Exchange[] = [];

beforeAll(async () => {
  service = await Service.start();
});

afterAll(async () => {
  for (const stream of streams) stream.leave();
  await service.stop();
});

/** Resolves when the stream has begun, or the refusal is here. */
async function follow(query = '', method = 'GET'): Promise<Exchange> {
  const stream = await send(service.port, method, `/api/event${query}`, { 'x-api-key': service.apiKey });
  streams.push(stream);
  return stream.until(() => stream.ended || stream.text.includes('\n\n'));
}

describe('the stream of events', () => {
  it('is one, and says from where to resume', async () => {
    const stream = await follow();
    expect(stream.status).toBe(200);
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    });
    expect(stream.text).toMatch(/^retry: 2000\nid: [0-9a-f]{8}-\d+\n\n/);
  });

  it('has a head for HEAD, and a problem for a filter that is no deployment', async () => {
    const head = await (await follow('', 'HEAD')).whole();
    expect([head.status, head.type, head.text]).toEqual([200, 'text/event-stream', '']);
    for (const query of ['deployment=x', 'deployment=', 'deployment=dp_a&deployment=dp_b', 'since=1']) {
      const refused = await (await follow(`?${query}`)).whole();
      expect([query, refused.status, refused.type]).toEqual([
        query,
        422,
        'application/problem+json; charset=utf-8',
      ]);
      expect(refused.json).toMatchObject({ code: 'validation_failed' });
    }
  });

  it('may be open 64 times', async () => {
    const held = await Promise.all(Array.from({ length: 65 }, () => follow()));
    const refused = held.filter(({ status }) => status !== 200);
    expect(refused.length).toBeGreaterThan(0);
    for (const { status, headers, json } of refused) {
      expect([status, headers['retry-after'], json]).toEqual([
        503,
        '10',
        expect.objectContaining({ code: 'event_streams_limit' }),
      ]);
    }
    for (const stream of held) stream.leave();
    await expect.poll(async () => (await follow()).status).toBe(200);
  });

  it('ends whole when the service does, which does not wait for it', async () => {
    const other = await Service.start();
    const stream = await send(other.port, 'GET', '/api/event', { 'x-api-key': other.apiKey });
    await stream.until(() => stream.text !== '');
    await other.stop();
    expect((await stream.whole()).broken).toBe(false);
  });
});

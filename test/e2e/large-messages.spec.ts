import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callText, newClient, tokenOf, transportTo } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

const MB = 1024 * 1024;
const SIZES = [
  ['33 KB', 33 * 1024],
  ['1 MB', MB],
  ['8 MB', 8 * MB],
] as const;
/** The limit of a message in either direction, unless configured otherwise. */
const LIMIT = 16 * MB;

/** What `echo_bytes` returns. */
function numbersUpTo(bytes: number): string {
  let numbers = '';
  for (let i = 0; numbers.length < bytes; i++) numbers += `${i} `;
  return numbers.slice(0, bytes);
}

/** Compared by hand: a failed `toBe` would print megabytes. */
function differsAt(actual: string, expected: string): number {
  if (actual === expected) return -1;
  let at = 0;
  while (at < expected.length && actual[at] === expected[at]) at++;
  return at;
}

describe('large messages', () => {
  let service: Service;
  let deployment: Deployment;
  const client = newClient();

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    deployment = await service.deploy({ image });
    await client.connect(transportTo(deployment));
  });

  afterAll(async () => {
    await client.close();
    await service.stop();
  });

  it.each(SIZES)('an answer of %s arrives whole', async (_, bytes) => {
    expect(differsAt(await callText(client, 'echo_bytes', { n: bytes }), numbersUpTo(bytes))).toBe(-1);
  });

  it.each(SIZES)('an answer of %s arrives whole as an event stream', async (_, bytes) => {
    const raw = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await raw.open();
    const answer = await raw.call(
      1,
      'echo_bytes',
      { n: bytes },
      { headers: { accept: 'text/event-stream' } },
    );
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(differsAt(answerText(answer), numbersUpTo(bytes))).toBe(-1);
    expect(await raw.end()).toBe(200);
  });

  it.each(SIZES)('a request of %s arrives whole, with characters of every length', async (_, bytes) => {
    const pattern = 'aß€🌍\\"\n\u2028';
    const text = pattern.repeat(Math.ceil(bytes / Buffer.byteLength(pattern)));
    expect(differsAt(await callText(client, 'echo', { text }), text)).toBe(-1);
  });

  it('large and small messages in both directions at once do not hold each other up for ever', async () => {
    const big = numbersUpTo(4 * MB);
    const calls = Array.from({ length: 4 }, () => [
      callText(client, 'echo', { text: big }),
      callText(client, 'echo', { text: 'small' }),
    ]).flat();
    const texts = await Promise.all(calls);
    expect(texts.map((text, i) => differsAt(text, i % 2 === 0 ? big : 'small'))).toEqual(calls.map(() => -1));
  });

  it('a request over the limit is refused with 413, and the session goes on', async () => {
    const raw = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await raw.open();
    const refused = await raw.call(1, 'echo', { text: 'x'.repeat(LIMIT) });
    expect(refused.status).toBe(413);
    expect(refused.messages[0]?.error?.message).toContain(String(LIMIT));
    expect(answerText(await raw.call(2, 'echo', { text: 'still here' }))).toBe('still here');
    await raw.end();
  });

  it('an answer over the limit ends its server with a reason; another session does not notice', async () => {
    const raw = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await raw.open();
    const flooded = await raw.call(1, 'echo_bytes', { n: LIMIT + 1 });
    expect(flooded.messages.at(-1)?.error?.message).toContain(String(LIMIT));
    expect(await callText(client, 'echo', { text: 'fine' })).toBe('fine');
  });
});

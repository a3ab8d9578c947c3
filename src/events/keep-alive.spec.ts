import { afterEach, expect, it, vi } from 'vitest';
import { EventsFixture } from '../../test/support/events-fixture.js';

afterEach(() => vi.useRealTimers());

it('a silent stream gets a comment every 15 s, with the position of a client that sees few events', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const fixture = await EventsFixture.start();
  const stream = await fixture.follow({ 'x-deployment': 'dp_b' });
  const begin = stream.text;
  fixture.happen(3);
  await new Promise(setImmediate);
  vi.advanceTimersByTime(14_999);
  expect(stream.text).toBe(begin);
  const ring = fixture.log.ringOf('tn_a');
  for (let n = 1; n <= 3; n++) {
    vi.advanceTimersByTime(n === 1 ? 1 : 15_000);
    const comments = `: keep-alive\nid: ${ring.idOf(3)}\n\n`.repeat(n);
    await stream.until(() => stream.ended || stream.text === begin + comments);
    expect(stream.ended).toBe(false);
  }
  await fixture.close();
  expect(vi.getTimerCount()).toBe(0);
});

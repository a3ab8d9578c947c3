import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventsFixture, eventsIn } from '../../test/support/events-fixture.js';
import type { Exchange } from '../../test/support/http-exchange.js';

const PADDING = 'x'.repeat(1900);

let fixture: EventsFixture;
let stream: Exchange;

beforeEach(async () => {
  fixture = await EventsFixture.start();
  stream = await fixture.follow();
});

afterEach(() => fixture.close());

/** The connection of the first stream, on our side. */
function socket(): Socket {
  return fixture.sockets[0] as Socket;
}

/** Events until the paused client's connection takes no more, and another 20 MB of them. */
async function flood(): Promise<void> {
  let stuck = 0;
  while (stuck < 100) {
    fixture.happen(100, { padding: PADDING });
    await new Promise(setImmediate);
    stuck = socket().timeout === 30_000 ? stuck + 1 : 0;
    expect(socket().writableLength).toBeLessThan(100_000);
  }
}

describe('a client that does not read', () => {
  it('costs no memory, whatever happens, and is cut off when it takes nothing for 30 s', async () => {
    stream.pause();
    await flood();
    expect(fixture.open()).toBe(1);
    // The socket's own timer says that nothing was taken; half a minute is too long for a test.
    socket().emit('timeout');
    fixture.happen();
    await expect.poll(() => fixture.open()).toBe(0);
    expect(socket().destroyed).toBe(true);
  });

  it('but begins again is told that it missed something, goes on, and is under no deadline any more', async () => {
    stream.pause();
    await flood();
    stream.resume();
    await stream.until(() => stream.ended || stream.text.includes('event: reset'));
    await expect.poll(() => socket().timeout).toBe(0);
    fixture.happen(3);
    await stream.until(() => stream.ended || /event: reset\n[^]*\n\n(id[^]*\n\n){3}$/.test(stream.text));
    const events = eventsIn(stream);
    const resets = events.flatMap(({ event }, index) => (event === 'reset' ? [index] : []));
    expect(resets).toEqual([events.length - 4]);
    const numbers = events.map(({ id = '' }) => Number(id.split('-')[1]));
    const head = numbers.slice(0, -4);
    expect(head).toEqual(head.map((_, index) => index + 1));
    const newest = fixture.log.ringOf('tn_a').newest;
    expect(numbers.slice(-4)).toEqual([newest - 3, newest - 2, newest - 1, newest]);
  });

  it('still gets, when it begins again, what was on its way at the shutdown', async () => {
    stream.pause();
    await flood();
    fixture.streams.beforeApplicationShutdown();
    fixture.happen();
    await new Promise(setImmediate);
    stream.resume();
    expect((await stream.whole()).broken).toBe(false);
  });

  it('holds nobody else back', async () => {
    stream.pause();
    const other = await fixture.follow();
    for (let count = 500; socket().timeout !== 30_000; count += 500) {
      fixture.happen(500, { padding: PADDING });
      await other.until(() => other.ended || other.chars > count * 2000);
    }
    const { newest } = fixture.log.ringOf('tn_a');
    await expect.poll(() => eventsIn(other)).toHaveLength(newest);
    expect(eventsIn(other).every(({ event }) => event === 'status')).toBe(true);
  });
});

import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventsFixture, eventsIn, lastIdIn, messagesIn } from '../../test/support/events-fixture.js';
import type { Exchange } from '../../test/support/http-exchange.js';
import { listen } from '../../test/support/http-text.js';

let fixture: EventsFixture;

beforeEach(async () => {
  fixture = await EventsFixture.start();
});

afterEach(async () => {
  await fixture.close();
  await expect.poll(() => fixture.open()).toBe(0);
});

function until(stream: Exchange, count: number): Promise<Exchange> {
  return stream.until(() => stream.ended || eventsIn(stream).length >= count);
}

function numbers(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, n) => String(first + n));
}

describe('a stream', () => {
  it('begins with what happens next, and has each event once, in order, under the next id', async () => {
    fixture.happen(3);
    const stream = await fixture.follow();
    expect(stream.status).toBe(200);
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    for (const count of [1, 20, 1]) {
      fixture.happen(count);
      await new Promise(setImmediate);
    }
    await until(stream, 22);
    expect(messagesIn(stream)).toEqual(numbers(4, 25));
    const epoch = lastIdIn(stream).split('-')[0];
    expect(eventsIn(stream).map(({ id }) => id)).toEqual(numbers(4, 25).map((n) => `${epoch}-${n}`));
    expect(new Set(eventsIn(stream).map(({ event }) => event))).toEqual(new Set(['status']));
    expect(stream.text.match(/^retry: 2000$/gm)).toHaveLength(1);
  });

  it('has a message with line breaks as one event', async () => {
    const stream = await fixture.follow();
    fixture.happen(1, { padding: '\n\nevent: x\rdata: y\r\n' });
    fixture.happen();
    await until(stream, 2);
    expect(messagesIn(stream)).toEqual(['1\n\nevent: x\rdata: y\r\n', '2']);
  });

  it('has nothing of another tenant', async () => {
    const stream = await fixture.follow();
    const other = await fixture.follow({ 'x-tenant': 'tn_b' });
    fixture.happen(2, { tenant: 'tn_b' });
    fixture.happen(1);
    await Promise.all([until(stream, 1), until(other, 2)]);
    expect(messagesIn(stream)).toEqual(['3']);
    expect(messagesIn(other)).toEqual(['1', '2']);
  });

  it('has only the events of the deployment it was asked for', async () => {
    const stream = await fixture.follow({ 'x-deployment': 'dp_b' });
    for (const deploymentId of ['dp_a', 'dp_b', 'dp_a', 'dp_b']) fixture.happen(1, { deploymentId });
    await until(stream, 2);
    expect(messagesIn(stream)).toEqual(['2', '4']);
  });
});

describe('a client that comes back', () => {
  it('gets exactly what it missed, wherever its stream broke', async () => {
    const first = await fixture.follow();
    const ids = [lastIdIn(first)];
    fixture.happen(40);
    ids.push(...eventsIn(await until(first, 40)).map(({ id = '' }) => id));
    for (const [position, id] of ids.entries()) {
      const again = await fixture.follow({ 'last-event-id': id });
      await until(again, 40 - position);
      expect(messagesIn(again)).toEqual(numbers(position + 1, 40));
      again.leave();
    }
  });

  it('loses and repeats nothing while things go on happening', async () => {
    let id = lastIdIn(await fixture.follow());
    const got: unknown[] = [];
    for (let round = 0; round < 20; round++) {
      const stream = await fixture.follow({ 'last-event-id': id });
      fixture.happen(10);
      await until(stream, 1);
      got.push(...messagesIn(stream));
      id = lastIdIn(stream);
      stream.leave();
      fixture.happen(7);
    }
    const last = await fixture.follow({ 'last-event-id': id });
    await until(last, 20 * 17 - got.length);
    expect([...got, ...messagesIn(last)]).toEqual(numbers(1, 20 * 17));
  });

  it('gets all of 1,000 missed events', async () => {
    const id = lastIdIn(await fixture.follow());
    fixture.happen(1000, { padding: 'x'.repeat(1900) });
    const stream = await fixture.follow({ 'last-event-id': id });
    await stream.until(() => stream.chars > 2_000_000);
    await until(stream, 1000);
    expect(eventsIn(stream).map(({ event }) => event)).toEqual(Array(1000).fill('status'));
  });

  it.each([
    ['fell out of the ring', (epoch: string) => `${epoch}-4`],
    ['is of another epoch', () => '00000000-1005'],
    ['has not been given yet', (epoch: string) => `${epoch}-1006`],
    ['is rubbish', () => 'rubbish, of a kind'],
    ['is no number', (epoch: string) => `${epoch}-1005x`],
    ['is too large for a number', (epoch: string) => `${epoch}-${'9'.repeat(400)}`],
  ])('with an id that %s is told to look again, and goes on from there', async (_what, idOf) => {
    const epoch = lastIdIn(await fixture.follow()).split('-')[0] ?? '';
    fixture.happen(1005);
    const stream = await fixture.follow({ 'last-event-id': idOf(epoch) });
    await until(stream, 1);
    fixture.happen();
    await until(stream, 2);
    expect(eventsIn(stream)).toMatchObject([
      { event: 'reset', id: `${epoch}-1005` },
      { event: 'status', id: `${epoch}-1006` },
    ]);
    expect(stream.messages).toMatchObject([
      { type: 'reset', message: 'Events were missed. List the deployments again.' },
      { message: '1006' },
    ]);
    expect(stream.events.every(({ data, id }) => data !== undefined || id === undefined)).toBe(true);
  });

  it('is told to look again also where nothing happened yet', async () => {
    const stream = await fixture.follow({ 'last-event-id': '00000000-7' });
    await until(stream, 1);
    expect(eventsIn(stream)).toMatchObject([{ event: 'reset', id: expect.stringMatching(/-0$/) as string }]);
  });

  it('with an empty id begins anew', async () => {
    fixture.happen(2);
    const stream = await fixture.follow({ 'last-event-id': '' });
    fixture.happen();
    await until(stream, 1);
    expect(messagesIn(stream)).toEqual(['3']);
  });
});

describe('the streams of a tenant', () => {
  it('are at most 64, and whoever leaves makes room', async () => {
    const streams = await Promise.all(Array.from({ length: 64 }, () => fixture.follow()));
    const refused = await (await fixture.follow()).whole();
    expect([refused.status, refused.headers['retry-after'], refused.text]).toEqual([
      503,
      '10',
      'event_streams_limit',
    ]);
    expect((await fixture.follow({ 'x-tenant': 'tn_b' })).status).toBe(200);
    streams[0]?.leave();
    await expect.poll(() => fixture.open()).toBe(63);
    expect((await fixture.follow()).status).toBe(200);
  });

  it('end at the shutdown, whole, and no new one begins', async () => {
    const streams = await Promise.all([fixture.follow(), fixture.follow({ 'x-tenant': 'tn_b' })]);
    fixture.streams.beforeApplicationShutdown();
    fixture.happen();
    for (const stream of streams) expect((await stream.whole()).broken).toBe(false);
    expect(streams.flatMap(messagesIn)).toEqual([]);
    const refused = await (await fixture.follow()).whole();
    expect([refused.status, refused.text]).toEqual([503, 'shutting_down']);
    expect([fixture.open(), fixture.open('tn_b')]).toEqual([0, 0]);
  });
});

it('HEAD is answered with the head alone, and holds nothing', async () => {
  const answer = await (await fixture.follow({}, 'HEAD')).whole();
  expect([answer.status, answer.type, answer.broken]).toEqual([200, 'text/event-stream', false]);
  expect(fixture.open()).toBe(0);
});

it('a stream that is asked for behind another on its connection holds nothing, and is refused in its turn', async () => {
  const socket = connect(fixture.port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  socket.write(listen({}) + listen({}));
  await expect.poll(() => fixture.open()).toBe(1);
  fixture.happen();
  await expect.poll(() => text).toContain('"message":"1"');
  expect(fixture.open()).toBe(1);
  fixture.streams.beforeApplicationShutdown();
  await expect.poll(() => text).toMatch(/HTTP\/1\.1 400 [^]*bad_request/);
  socket.destroy();
});

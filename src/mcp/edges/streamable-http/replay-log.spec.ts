import { describe, expect, it } from 'vitest';
import { eventIdText, parseEventId, ReplayLog } from './replay-log.js';

describe('ReplayLog', () => {
  it('gives the events of one stream behind an event, in order', () => {
    const log = new ReplayLog(100);
    log.add({ stream: 1, seq: 1, data: 'a' }, false);
    log.add({ stream: 2, seq: 1, data: 'b' }, false);
    log.add({ stream: 1, seq: 2, data: 'c' }, true);
    log.add({ stream: 1, seq: 3, data: 'd' }, false);
    expect(log.after({ stream: 1, seq: 1 }).map(({ data }) => data)).toEqual(['c', 'd']);
    expect(log.after({ stream: 1, seq: 3 })).toEqual([]);
    expect(log.after({ stream: 3, seq: 0 })).toEqual([]);
  });

  it('lets the oldest go at its limit, but neither an answer for other events nor the newest of all', () => {
    const log = new ReplayLog(10);
    log.add({ stream: 1, seq: 1, data: 'answer larger than the limit' }, true);
    for (let seq = 1; seq <= 100; seq++) log.add({ stream: 0, seq, data: '12345' }, false);
    expect(log.after({ stream: 1, seq: 0 })).toHaveLength(1);
    expect(log.after({ stream: 0, seq: 0 }).map(({ seq }) => seq)).toEqual([99, 100]);
    log.add({ stream: 2, seq: 1, data: '1' }, true);
    expect(log.after({ stream: 1, seq: 0 })).toEqual([]);
  });

  it('has room again for what it forgot', () => {
    const log = new ReplayLog(10);
    log.add({ stream: 1, seq: 1, data: '123456' }, false);
    log.drop(1);
    log.add({ stream: 2, seq: 1, data: '12345' }, false);
    log.add({ stream: 2, seq: 2, data: '12345' }, false);
    expect(log.after({ stream: 2, seq: 0 })).toHaveLength(2);
  });
});

it.each(['"short"', '7', `"${'x'.repeat(60)}"`, `"${'x'.repeat(100)}"`, `"${'漢'.repeat(40)}"`])(
  'an event id is understood when it comes back, whatever the id of the request: %s',
  (requestId) => {
    expect(parseEventId(eventIdText({ stream: 1, seq: 2, requestId }))).toMatchObject({ stream: 1, seq: 2 });
  },
);

it.each([
  ['0-1', { stream: 0, seq: 1 }],
  ['12-345', { stream: 12, seq: 345 }],
  ['', undefined],
  ['1', undefined],
  ['1-1 ', undefined],
  ['1--1', undefined],
  ['1-1234567890', undefined],
  ['١-١', undefined],
])('the event id %j is read as %j', (text, id) => {
  expect(parseEventId(text)).toEqual(id);
});

import { describe, expect, it } from 'vitest';
import { Gate } from '../../test/support/gate.js';
import { Slots } from './slots.js';

const LONG_MS = 60_000;

describe('slots', () => {
  it('let the next one in, in order, when one is done or has failed', async () => {
    const slots = new Slots(1, LONG_MS);
    const { signal } = new AbortController();
    const first = new Gate();
    const order: number[] = [];
    const runs = [
      slots.run(first.wait, signal).then(() => order.push(1)),
      slots.run(() => Promise.reject(new Error('2')), signal).catch(() => order.push(2)),
      slots.run(() => Promise.resolve(), signal).then(() => order.push(3)),
    ];
    await first.reached;
    expect(order).toEqual([]);
    first.open();
    await Promise.all(runs);
    expect(order).toEqual([1, 2, 3]);
  });

  it('are not held by what takes long', async () => {
    const slots = new Slots(1, 1);
    const { signal } = new AbortController();
    const slow = new Gate();
    const run = slots.run(slow.wait, signal);
    await slots.run(() => Promise.resolve(), signal);
    slow.open();
    await run;
  });

  it('are not waited for any more once the signal is aborted', async () => {
    const slots = new Slots(1, LONG_MS);
    const first = new Gate();
    const run = slots.run(first.wait, new AbortController().signal);
    const leaver = new AbortController();
    const left = expect(slots.run(() => Promise.resolve(), leaver.signal)).rejects.toThrow('left');
    leaver.abort(new Error('left'));
    await left;
    first.open();
    await run;
    await expect(slots.run(() => Promise.resolve(), leaver.signal)).rejects.toThrow('left');
    await slots.run(() => Promise.resolve(), new AbortController().signal);
  });
});

import { afterEach, expect, it, vi } from 'vitest';
import { Gate } from '../../test/support/gate.js';
import { Rejoins } from './rejoins.js';

afterEach(() => vi.useRealTimers());

it('a request waits for all that are under way at its deployment, and for nobody else', async () => {
  const rejoins = new Rejoins();
  const [first, second] = [new Gate(), new Gate()];
  rejoins.add('dp_a', first.wait());
  rejoins.add('dp_a', second.wait());
  expect(rejoins.untilJoined('dp_b')).toBeUndefined();
  let isOver = false;
  const waiting = rejoins.untilJoined('dp_a')?.finally(() => {
    isOver = true;
  });
  second.open();
  await Promise.resolve();
  expect(isOver).toBe(false);
  first.open();
  await waiting;
  expect(rejoins.untilJoined('dp_a')).toBeUndefined();
});

it('nobody waits longer than 2 s', async () => {
  vi.useFakeTimers();
  const rejoins = new Rejoins();
  rejoins.add('dp_a', new Promise(() => undefined));
  let isOver = false;
  void rejoins.untilJoined('dp_a')?.finally(() => {
    isOver = true;
  });
  await vi.advanceTimersByTimeAsync(1999);
  expect(isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(isOver).toBe(true);
});

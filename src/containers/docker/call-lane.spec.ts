import { describe, expect, it } from 'vitest';
import { CallLane } from './call-lane.js';

const never = new AbortController().signal;

function laneOf(size: number, queue: number): CallLane {
  return new CallLane(size, queue, () => new Error('too many'));
}

/** What has become of it so far. */
function fateOf(promise: Promise<unknown>): Promise<string> {
  return Promise.race([
    promise.then(
      () => 'in',
      (error: unknown) => (error as Error).message,
    ),
    new Promise<string>((resolve) => setImmediate(resolve, 'waits')),
  ]);
}

const fatesOf = (promises: Promise<unknown>[]): Promise<string[]> => Promise.all(promises.map(fateOf));

describe('a lane of calls', () => {
  it('lets as many in as there is room for, the others in order as room is made, and refuses beyond its queue', async () => {
    const lane = laneOf(2, 2);
    const calls = Array.from({ length: 5 }, () => lane.enter(never));
    for (const call of calls) call.catch(() => undefined);
    expect(await fatesOf(calls)).toEqual(['in', 'in', 'waits', 'waits', 'too many']);
    (await calls[1])?.();
    expect(await fatesOf(calls)).toEqual(['in', 'in', 'in', 'waits', 'too many']);
    (await calls[0])?.();
    (await calls[2])?.();
    expect(await fatesOf(calls)).toEqual(['in', 'in', 'in', 'in', 'too many']);
    // One of two is in use.
    expect(await fatesOf([lane.enter(never), lane.enter(never)])).toEqual(['in', 'waits']);
  });

  it('forgets who gives up, and only him', async () => {
    const lane = laneOf(1, 2);
    const leave = await lane.enter(never);
    const control = new AbortController();
    const [first, second] = [lane.enter(control.signal), lane.enter(never)];
    first.catch(() => undefined);
    control.abort(new Error('given up'));
    expect(await fatesOf([first, second])).toEqual(['given up', 'waits']);
    leave();
    expect(await fatesOf([second])).toEqual(['in']);
    await expect(lane.enter(control.signal)).rejects.toThrow('given up');
  });

  it('sends away all who wait, and nobody who is in', async () => {
    const lane = laneOf(1, 9);
    const leave = await lane.enter(never);
    const waiting = [lane.enter(never), lane.enter(never)];
    for (const call of waiting) call.catch(() => undefined);
    lane.refuseAll(new Error('away'));
    expect(await fatesOf(waiting)).toEqual(['away', 'away']);
    leave();
    expect(await fatesOf([lane.enter(never)])).toEqual(['in']);
  });
});

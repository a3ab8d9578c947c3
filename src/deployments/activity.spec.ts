import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';

let fixture: DeploymentsFixture;

beforeEach(() => {
  fixture = new DeploymentsFixture();
});

afterEach(() => fixture.dispose());

/** Failed at time 0, to be deleted after 30 idle seconds. */
function withClock(): string {
  return fixture.rowIn('failed', { deleteAfterSeconds: 30 }).id;
}

describe('activity', () => {
  it('reaches the rows together when it is flushed, and no row before', () => {
    const [used, idle] = [withClock(), withClock()];
    fixture.activity.touch(used, 40_000);
    expect(fixture.get(used).lastActivityAt).toBe(0);
    fixture.activity.flush(50_000);
    expect(fixture.get(used)).toMatchObject({ lastActivityAt: 40_000, deleteAt: 70_000 });
    expect(fixture.get(idle)).toMatchObject({ lastActivityAt: 0, deleteAt: 30_000 });
  });

  it('goes on as long as a lease is open, and each lease ends once', () => {
    const id = withClock();
    const ends = [fixture.activity.begin(id), fixture.activity.begin(id)];
    ends[0]?.();
    ends[0]?.();
    expect(fixture.activity.isBusy(id)).toBe(true);
    fixture.activity.flush(90_000);
    expect(fixture.get(id).lastActivityAt).toBe(90_000);
    ends[1]?.();
    expect(fixture.activity.isBusy(id)).toBe(false);
  });

  it('is also what others know of', () => {
    const [id, other] = [withClock(), withClock()];
    fixture.activity.alsoBusy((asked) => asked === id);
    expect([fixture.activity.isBusy(id), fixture.activity.isBusy(other)]).toEqual([true, false]);
  });
});

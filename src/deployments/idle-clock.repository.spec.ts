import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';

const READY = { code: 'ready', message: 'The MCP server answers.' } as const;

let fixture: DeploymentsFixture;

beforeEach(() => {
  fixture = new DeploymentsFixture();
});

afterEach(() => fixture.dispose());

/** Milliseconds of 200 looks, as fast as the machine can. */
function fastestRound({ idleClock }: DeploymentsFixture): number {
  const rounds = Array.from({ length: 10 }, () => {
    const begun = performance.now();
    for (let n = 0; n < 200; n += 1) expect(idleClock.listDue(59_000, 100)).toEqual([]);
    return performance.now() - begun;
  });
  return Math.min(...rounds);
}

describe('the idle clock', () => {
  it('counts both times from the last activity, and pauses only what runs', () => {
    const times = { pauseAfterSeconds: 30, deleteAfterSeconds: 60 };
    const running = fixture.rowIn('running', times, 1000);
    const failed = fixture.rowIn('failed', times, 1000);
    expect(running).toMatchObject({ pauseAt: 31_000, deleteAt: 61_000 });
    expect(failed).toMatchObject({ pauseAt: null, deleteAt: 61_000 });
    fixture.idleClock.recordActivity([
      [running.id, 5000],
      [failed.id, 5000],
    ]);
    expect(fixture.get(running.id)).toMatchObject({
      lastActivityAt: 5000,
      pauseAt: 35_000,
      deleteAt: 65_000,
    });
    expect(fixture.get(failed.id)).toMatchObject({ lastActivityAt: 5000, pauseAt: null, deleteAt: 65_000 });
  });

  it('never goes back', () => {
    const { id } = fixture.rowIn('failed', { deleteAfterSeconds: 30 });
    fixture.idleClock.recordActivity([[id, 5000]]);
    fixture.idleClock.recordActivity([[id, 3000]]);
    expect(fixture.get(id)).toMatchObject({ lastActivityAt: 5000, deleteAt: 35_000 });
  });

  it('stands while a deployment is paused, and begins anew when it runs again', () => {
    const { id } = fixture.rowIn('paused', { pauseAfterSeconds: 30, deleteAfterSeconds: 60 });
    expect(fixture.get(id)).toMatchObject({ pauseAt: null, deleteAt: 60_000 });
    fixture.repository.transition(id, 'starting', READY, 50_000);
    expect(fixture.get(id)).toMatchObject({ pauseAt: null, deleteAt: 60_000 });
    expect(fixture.repository.transition(id, 'running', READY, 59_000)).toMatchObject({
      lastActivityAt: 59_000,
      pauseAt: 89_000,
      deleteAt: 119_000,
    });
  });

  it('goes on where the same sandbox runs on', () => {
    const { id } = fixture.rowIn('running', { pauseAfterSeconds: 30, deleteAfterSeconds: 60 });
    fixture.repository.transition(id, 'starting', READY, 20_000);
    const row = fixture.repository.transition(id, 'running', READY, 25_000, { isSameRun: true });
    expect(row).toMatchObject({ lastActivityAt: 0, pauseAt: 30_000, deleteAt: 60_000 });
  });

  it('takes new times from a patch, counted from the last activity, and none away by itself', () => {
    const { id } = fixture.rowIn('running', { pauseAfterSeconds: 30 }, 1000);
    expect(fixture.repository.patch(id, { deleteAfterSeconds: 40 })).toMatchObject({
      pauseAt: 31_000,
      deleteAt: 41_000,
    });
    expect(fixture.repository.patch(id, { pauseAfterSeconds: 100, deleteAfterSeconds: null })).toMatchObject({
      pauseAt: 101_000,
      deleteAt: null,
    });
    const paused = fixture.rowIn('paused');
    expect(fixture.repository.patch(paused.id, { pauseAfterSeconds: 30 })?.pauseAt).toBeNull();
  });
});

describe('what is due', () => {
  it('is what runs for a pause, and what is settled for a deletion', () => {
    const times = { pauseAfterSeconds: 30, deleteAfterSeconds: 30 };
    const { pending, starting, pausing, deleting, ...settled } = {
      pending: fixture.rowIn('pending', times),
      starting: fixture.rowIn('starting', times),
      pausing: fixture.rowIn('pausing', times),
      deleting: fixture.rowIn('deleting', times),
      running: fixture.rowIn('running', times),
      paused: fixture.rowIn('paused', times),
      failed: fixture.rowIn('failed', times),
    };
    expect(fixture.idleClock.listDue(29_999, 10)).toEqual([]);
    const due = fixture.idleClock.listDue(30_000, 10);
    const idsOf = (what: string): string[] => due.filter((one) => one.what === what).map(({ id }) => id);
    expect(idsOf('delete').toSorted()).toEqual(Object.values(settled).map(({ id }) => id));
    expect(idsOf('pause')).toEqual([settled.running.id]);
    for (const { id } of [pending, starting, pausing, deleting]) {
      expect(due.map((one) => one.id)).not.toContain(id);
    }
  });

  it('is found by two searches of an index, never by a look at every row', () => {
    const plan = fixture.idleClock.explainDue(1000);
    const steps = plan.filter((step) => /SEARCH|SCAN/.test(step));
    expect(steps).toEqual([
      expect.stringMatching(/^SEARCH .*INDEX deployments_delete_at \(delete_at</),
      expect.stringMatching(/^SEARCH .*INDEX deployments_pause_at \(pause_at</),
    ]);
  });

  it('takes as long to find among 1,000 paused deployments as among 10', async () => {
    const crowd = new DeploymentsFixture();
    try {
      for (const [one, count] of [
        [fixture, 10],
        [crowd, 1000],
      ] as const) {
        one.database.orm.transaction(() => {
          for (let n = 0; n < count; n += 1) one.rowIn('paused', { deleteAfterSeconds: 60 });
        });
      }
      // A scan would take a hundred times as long; a busy machine may take a few times as long at any moment.
      expect(fastestRound(crowd)).toBeLessThan(5 * fastestRound(fixture));
    } finally {
      await crowd.dispose();
    }
  });
});

describe('the least recently used', () => {
  it('are those that run, the longest unused first, and none that was used since', () => {
    const rows = [3000, 1000, 2000, 9000].map((now) => fixture.rowIn('running', {}, now));
    fixture.rowIn('paused', {}, 500);
    expect(fixture.idleClock.listIdle(9000, 10).map(({ id }) => id)).toEqual(
      [rows[1], rows[2], rows[0]].map((row) => row?.id),
    );
    expect(fixture.idleClock.listIdle(9000, 1)).toHaveLength(1);
  });
});

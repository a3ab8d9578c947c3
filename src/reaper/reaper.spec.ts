import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Gate } from '../../test/support/gate.js';
import { Reaper } from './reaper.js';

let fixture: DeploymentsFixture;
let reaper: Reaper;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  const { idleClock, lifecycle, activity, capacity } = fixture;
  reaper = new Reaper(idleClock, lifecycle, activity, capacity);
});

afterEach(() => fixture.dispose());

describe('the reaper', () => {
  it('deletes what was idle for deleteAfterSeconds, and nothing else', async () => {
    const [idle, eternal] = [await fixture.running({ deleteAfterSeconds: 30 }), await fixture.running()];
    reaper.reap((idle.deleteAt ?? 0) - 1);
    expect(fixture.get(idle.id).status).toBe('running');
    reaper.reap(idle.deleteAt ?? 0);
    expect(fixture.get(idle.id)).toMatchObject({ status: 'deleting', reasonCode: 'expired' });
    await fixture.waits.untilGone(idle.id, 5000);
    expect([...fixture.runtime.sandboxes.keys()]).toEqual([eternal.id]);
  });

  it('sees activity that is not in the row yet', async () => {
    const { id, deleteAt } = await fixture.running({ deleteAfterSeconds: 30 });
    const now = deleteAt ?? 0;
    fixture.activity.touch(id, now - 1);
    reaper.reap(now);
    expect(fixture.get(id).status).toBe('running');
  });

  it('spares what has work in flight, however long it takes', async () => {
    const { id, deleteAt } = await fixture.running({ deleteAfterSeconds: 30 });
    const end = fixture.activity.begin(id);
    const later = (deleteAt ?? 0) + 3_600_000;
    reaper.reap(later);
    expect(fixture.get(id).status).toBe('running');
    end();
    reaper.reap(later + 30_000);
    expect(fixture.get(id).status).toBe('deleting');
  });

  it('pauses what was idle for pauseAfterSeconds, and nothing else', async () => {
    const [idle, eternal] = [await fixture.running({ pauseAfterSeconds: 30 }), await fixture.running()];
    reaper.reap((idle.pauseAt ?? 0) - 1);
    expect(fixture.get(idle.id).status).toBe('running');
    reaper.reap(idle.pauseAt ?? 0);
    expect(fixture.get(idle.id)).toMatchObject({ status: 'pausing', reasonCode: 'idle' });
    expect(await fixture.waits.untilSettled(idle.id, 5000)).toMatchObject({
      status: 'paused',
      reasonCode: 'idle',
      reasonMessage: 'It was idle for pauseAfterSeconds. It wakes with the next request.',
    });
    expect([...fixture.runtime.sandboxes.keys()]).toEqual([eternal.id]);
  });

  it('deletes what is paused, counted from the last message', async () => {
    const { id, deleteAt } = await fixture.running({ pauseAfterSeconds: 30, deleteAfterSeconds: 60 });
    reaper.reap((deleteAt ?? 0) - 30_000);
    await fixture.waits.untilSettled(id, 5000);
    reaper.reap((deleteAt ?? 0) - 1);
    expect(fixture.get(id).status).toBe('paused');
    reaper.reap(deleteAt ?? 0);
    await fixture.waits.untilGone(id, 5000);
    expect(fixture.changes.at(-1)).toEqual({
      deploymentId: id,
      from: 'deleting',
      to: 'deleted',
      code: 'expired',
    });
  });

  it('deletes rather than pauses what is due for both', async () => {
    const { id, deleteAt } = await fixture.running({ pauseAfterSeconds: 30, deleteAfterSeconds: 30 });
    reaper.reap(deleteAt ?? 0);
    await fixture.waits.untilGone(id, 5000);
    expect(fixture.changes.map(({ to }) => to)).not.toContain('pausing');
  });

  it('pauses again what was woken, counted from the wake', async () => {
    const { id, pauseAt } = await fixture.running({ pauseAfterSeconds: 30 });
    reaper.reap(pauseAt ?? 0);
    await fixture.waits.untilSettled(id, 5000);
    fixture.service.wake(id);
    const woken = await fixture.waits.untilSettled(id, 5000);
    expect(woken.pauseAt).toBe(woken.lastActivityAt + 30_000);
    reaper.reap(woken.pauseAt ?? 0);
    expect(fixture.get(id)).toMatchObject({ status: 'pausing', reasonCode: 'idle' });
  });

  it('spares what others say is busy, and counts from the end of that', async () => {
    const { id, pauseAt } = await fixture.running({ pauseAfterSeconds: 30 });
    let isBusy = true;
    fixture.activity.alsoBusy(() => isBusy);
    const later = (pauseAt ?? 0) + 3_600_000;
    reaper.reap(later);
    expect(fixture.get(id).status).toBe('running');
    isBusy = false;
    reaper.reap(later + 29_999);
    expect(fixture.get(id).status).toBe('running');
    reaper.reap(later + 30_000);
    expect(fixture.get(id).status).toBe('pausing');
  });

  it('does not come to nothing because of many that are due and busy', () => {
    const busy = new Set<string>();
    for (let n = 0; n < 100; n += 1) busy.add(fixture.rowIn('running', { pauseAfterSeconds: 30 }).id);
    const { id } = fixture.rowIn('running', { pauseAfterSeconds: 31 });
    fixture.activity.alsoBusy((asked) => busy.has(asked));
    reaper.reap(40_000);
    reaper.reap(40_001);
    expect(fixture.get(id).status).toBe('pausing');
  });

  it('lets a message that comes before the change of status be in time', async () => {
    const { id, pauseAt } = await fixture.running({ pauseAfterSeconds: 30 });
    const now = pauseAt ?? 0;
    // Found to be due, then used: as by a request whose turn came between the look and the change.
    fixture.activity.flush(now);
    expect(fixture.idleClock.listDue(now, 10)).toEqual([{ id, what: 'pause' }]);
    const end = fixture.activity.begin(id);
    reaper.reap(now);
    expect(fixture.get(id).status).toBe('running');
    end();
  });

  it('leaves alone what changes already', async () => {
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const { id } = fixture.create({ pauseAfterSeconds: 30, deleteAfterSeconds: 30 });
    await start.reached;
    reaper.reap(Date.now() + 3_600_000);
    expect(fixture.get(id).status).toBe('starting');
    start.open();
    await fixture.waits.untilSettled(id, 5000);
  });

  it('goes by new times as soon as they are there', async () => {
    const { id, tenantId, lastActivityAt } = await fixture.running({ pauseAfterSeconds: 3600 });
    fixture.service.update(tenantId, id, { pauseAfterSeconds: 30 });
    reaper.reap(lastActivityAt + 30_000);
    expect(fixture.get(id).status).toBe('pausing');
    const other = await fixture.running({ pauseAfterSeconds: 30 });
    fixture.service.update(tenantId, other.id, { pauseAfterSeconds: null });
    reaper.reap(other.lastActivityAt + 3_600_000);
    expect(fixture.get(other.id).status).toBe('running');
  });

  it('goes on counting across a restart of the service', async () => {
    const { id, pauseAt } = await fixture.running({ pauseAfterSeconds: 30 });
    fixture = await fixture.restart();
    expect((await fixture.waits.untilSettled(id, 5000)).pauseAt).toBe(pauseAt);
    const { idleClock, lifecycle, activity, capacity } = fixture;
    new Reaper(idleClock, lifecycle, activity, capacity).reap(pauseAt ?? 0);
    expect(fixture.get(id).status).toBe('pausing');
  });
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Reaper } from './reaper.js';

let fixture: DeploymentsFixture;
let reaper: Reaper;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  const { repository, lifecycle, reconciler, activity } = fixture;
  reaper = new Reaper(repository, lifecycle, reconciler, activity);
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
});

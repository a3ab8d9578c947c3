import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentStages } from '../../test/support/deployment-stages.js';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { DEFAULT_TENANT_ID as TENANT } from '../tenancy/principal.js';
import { STATUSES } from './deployment.js';

let fixture: DeploymentsFixture;
let stages: DeploymentStages;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  stages = new DeploymentStages(fixture);
});

afterEach(async () => {
  await stages.end();
  await fixture.dispose();
});

describe("another tenant's deployment", () => {
  it('does not exist, whatever is asked of it', async () => {
    const before = await stages.bring('running');
    const other = 'tn_other';
    const missing = expect.objectContaining({ code: 'deployment_not_found' }) as Error;
    for (const verb of ['start', 'pause', 'restart', 'get'] as const) {
      expect(() => fixture.service[verb](other, before.id)).toThrow(missing);
    }
    expect(() => fixture.service.update(other, before.id, { name: 'mine' })).toThrow(missing);
    await expect(fixture.service.delete(other, before.id)).rejects.toThrow(missing);
    expect(fixture.get(before.id)).toEqual(before);
  });
});

describe('changing', () => {
  it.each(STATUSES.filter((status) => status !== 'deleting'))(
    'what is %s changes what was named and nothing else',
    async (status) => {
      const before = await stages.bring(status);
      const row = fixture.service.update(TENANT, before.id, { name: 'new', pauseAfterSeconds: 60 });
      expect(row).toEqual({ ...before, name: 'new', pauseAfterSeconds: 60, pauseAt: row.pauseAt });
      expect(row.pauseAt).toBe(status === 'running' ? before.lastActivityAt + 60_000 : null);
    },
  );

  it('what is being deleted is refused', async () => {
    const before = await stages.bring('deleting');
    const refusal = expect.objectContaining({ code: 'deployment_deleting' }) as Error;
    expect(() => fixture.service.update(TENANT, before.id, { name: 'new' })).toThrow(refusal);
    expect(fixture.get(before.id)).toEqual(before);
  });

  it('the limits reaches the running sandbox, and the next start of any other', async () => {
    const running = await stages.bring('running');
    fixture.service.update(TENANT, running.id, { maxMemoryMb: 1024 });
    await expect.poll(() => fixture.runtime.sandboxes.get(running.id)?.limits.memoryMb).toBe(1024);
    const { id } = await stages.bring('paused');
    fixture.service.update(TENANT, id, { maxMemoryMb: 256 });
    fixture.service.start(TENANT, id);
    await fixture.waits.untilSettled(id, 5000);
    expect(fixture.runtime.sandboxes.get(id)?.limits.memoryMb).toBe(256);
  });
});

import { expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Gate } from '../../test/support/gate.js';
import { DEFAULT_TENANT_ID as TENANT } from '../tenancy/principal.js';

it('lets the next one in at once though the first in line takes its time to leave', async () => {
  const fixture = new DeploymentsFixture();
  fixture.config.maxRunning = 1;
  const become = (id: string, status: string): Promise<void> =>
    vi.waitFor(() => expect(fixture.get(id).status).toBe(status));
  const stand = (id: string): Promise<void> =>
    vi.waitFor(() => expect(fixture.get(id).reasonCode).toBe('capacity_exhausted'));
  try {
    const first = await fixture.running();
    fixture.service.pause(TENANT, first.id);
    await become(first.id, 'paused');
    const runs = await fixture.running();
    fixture.service.start(TENANT, first.id);
    await stand(first.id);
    const second = fixture.create();
    await stand(second.id);
    const engine = new Gate();
    fixture.runtime.next('remove', engine.wait);
    const deleting = fixture.service.delete(TENANT, first.id);
    await engine.reached;
    fixture.service.pause(TENANT, runs.id);
    await become(second.id, 'running');
    expect(fixture.get(first.id).status).toBe('deleting');
    engine.open();
    await deleting;
  } finally {
    await fixture.dispose();
  }
});

import { expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';

it('who waits is told of the shutdown, also who comes after it has begun', async () => {
  const fixture = new DeploymentsFixture();
  try {
    const { id, revision } = await fixture.running();
    const early = fixture.waits.untilMoved(id, revision, 5000);
    fixture.waits.beforeApplicationShutdown();
    await expect(early).rejects.toMatchObject({ code: 'shutting_down' });
    await expect(fixture.waits.untilMoved(id, revision, 5000)).rejects.toMatchObject({
      code: 'shutting_down',
    });
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
  } finally {
    await fixture.dispose();
  }
});

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentStages } from '../../test/support/deployment-stages.js';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Gate } from '../../test/support/gate.js';
import { AppError } from '../errors/app-error.js';
import { DEFAULT_TENANT_ID as TENANT } from '../tenancy/principal.js';
import { STATUSES, type Status } from './deployment.js';
import type { DeploymentRow } from './deployment.table.js';

type Verb = 'start' | 'pause' | 'restart' | 'wake';

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

function tell(verb: Verb, id: string): void {
  if (verb === 'wake') fixture.service.wake(id);
  else fixture.service[verb](TENANT, id);
}

async function settled(id: string): Promise<DeploymentRow> {
  stages.goOn();
  return fixture.waits.untilSettled(id, 5000);
}

describe.each<[Verb, Partial<Record<Status, [at: Status, end: Status] | string>>]>([
  [
    'start',
    {
      pending: ['pending', 'running'],
      starting: ['starting', 'running'],
      running: ['running', 'running'],
      pausing: ['starting', 'running'],
      paused: ['starting', 'running'],
      failed: ['starting', 'running'],
      deleting: 'deployment_deleting',
    },
  ],
  [
    'pause',
    {
      pending: ['pausing', 'paused'],
      starting: ['pausing', 'paused'],
      running: ['pausing', 'paused'],
      pausing: ['pausing', 'paused'],
      paused: ['paused', 'paused'],
      failed: 'state_conflict',
      deleting: 'deployment_deleting',
    },
  ],
  [
    'restart',
    {
      pending: ['pending', 'running'],
      starting: ['starting', 'running'],
      running: ['starting', 'running'],
      pausing: ['starting', 'running'],
      paused: ['starting', 'running'],
      failed: ['starting', 'running'],
      deleting: 'deployment_deleting',
    },
  ],
  [
    'wake',
    {
      pending: ['pending', 'running'],
      starting: ['starting', 'running'],
      running: ['running', 'running'],
      pausing: ['starting', 'running'],
      paused: ['starting', 'running'],
      failed: ['failed', 'failed'],
    },
  ],
])('%s', (verb, table) => {
  const ways = Object.entries(table) as [Status, [Status, Status] | string][];

  it.each(ways.filter(([, end]) => typeof end !== 'string') as [Status, [Status, Status]][])(
    'of what is %s leads to %j, also when it is said twice',
    async (from, [at, end]) => {
      const { id } = await stages.bring(from);
      tell(verb, id);
      expect(fixture.get(id).status).toBe(at);
      const told = fixture.get(id);
      tell(verb, id);
      expect(fixture.get(id)).toEqual(told);
      const row = await settled(id);
      expect(row.status).toBe(end);
      expect(fixture.runtime.sandboxes.has(id)).toBe(end === 'running');
      expect(row.containerId).toBe(fixture.runtime.sandboxes.get(id)?.containerId ?? null);
    },
  );

  it.each(ways.filter(([, end]) => typeof end === 'string') as [Status, string][])(
    'of what is %s is refused with %s and changes nothing',
    async (from, code) => {
      const before = await stages.bring(from);
      expect(() => tell(verb, before.id)).toThrow(expect.objectContaining({ code, status: 409 }) as Error);
      expect(fixture.get(before.id)).toEqual(before);
    },
  );
});

describe('starting', () => {
  it('while it is being paused ends in a new sandbox, and the row speaks of no loss', async () => {
    const { id } = await stages.bring('pausing');
    fixture.service.start(TENANT, id);
    expect(await settled(id)).toMatchObject({
      status: 'running',
      containerId: 'container-2',
      reasonMessage: 'The MCP server answers.',
    });
    expect(fixture.told().map(({ code }) => code)).not.toContain('sandbox_gone');
  });

  it('what is woken while it is being paused waits for the pause, and is one start for a hundred requests', async () => {
    const { id } = await stages.bring('pausing');
    for (let n = 0; n < 100; n += 1) fixture.service.wake(id);
    await settled(id);
    expect(fixture.runtime.calls.filter((call) => call === `start ${id}`)).toHaveLength(2);
    expect(fixture.changes.filter(({ to }) => to === 'starting')).toHaveLength(2);
  });

  it('is not for waking what is being deleted', async () => {
    const before = await stages.bring('deleting');
    fixture.service.wake(before.id);
    expect(fixture.get(before.id)).toEqual(before);
  });
});

describe('pausing', () => {
  it('breaks off a start, and leaves nothing in the engine', async () => {
    const { id } = await stages.bring('starting');
    fixture.service.pause(TENANT, id);
    expect(await settled(id)).toMatchObject({ status: 'paused', containerId: null, networkName: null });
    expect(fixture.runtime.sandboxes.size).toBe(0);
    expect(fixture.changes.map(({ to }) => to)).toEqual(['starting', 'pausing', 'paused']);
  });

  it('keeps what the deployment has stored', async () => {
    const { id } = await stages.bring('paused');
    expect(fixture.runtime.calls).toContain(`stop ${id}`);
    expect(fixture.runtime.calls).not.toContain(`remove ${id}`);
    expect(fixture.get(id)).toMatchObject({ hasRemains: true, pauseAt: null });
  });

  it('says in the end why it was paused, however often the engine failed on the way', async () => {
    const { id } = await fixture.running();
    fixture.runtime.failNext('stop', new AppError('runtime_unavailable', { detail: 'No engine.' }));
    fixture.service.pause(TENANT, id);
    await expect
      .poll(() => fixture.get(id))
      .toMatchObject({ status: 'pausing', reasonCode: 'runtime_unavailable' });
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({
      status: 'paused',
      reasonCode: 'requested',
      reasonMessage: 'It was told to pause. It wakes with the next request.',
    });
  });

  it('lets those who have processes in the sandbox end them first', async () => {
    const { id } = await fixture.running();
    const leaving = new Gate();
    fixture.events.onStopping(leaving.wait);
    fixture.service.pause(TENANT, id);
    await leaving.reached;
    expect(fixture.runtime.sandboxes.has(id)).toBe(true);
    leaving.open();
    await fixture.waits.untilSettled(id, 5000);
    expect(fixture.runtime.sandboxes.has(id)).toBe(false);
  });
});

describe('restarting', () => {
  it('gives a new container and keeps what the deployment has stored', async () => {
    const { id } = await fixture.running();
    fixture.service.restart(TENANT, id);
    expect(await settled(id)).toMatchObject({ status: 'running', containerId: 'container-2' });
    expect(fixture.runtime.calls).not.toContain(`remove ${id}`);
    expect(fixture.changes.map(({ to }) => to)).toEqual(['starting', 'running', 'starting', 'running']);
  });
});

describe('a deployment that is not to start by itself', () => {
  it.each(['start', 'wake'] as const)('makes nothing in the engine until the first %s', async (verb) => {
    const { id, status, reasonMessage } = fixture.create({ autoStart: false });
    expect({ status, reasonMessage }).toEqual({
      status: 'paused',
      reasonMessage: 'It starts with the first request.',
    });
    await fixture.waits.untilSettled(id, 5000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(fixture.runtime.calls).toEqual([]);
    tell(verb, id);
    expect(await settled(id)).toMatchObject({ status: 'running' });
  });

  it('is deleted without a word to the engine', async () => {
    const { id } = fixture.create({ autoStart: false });
    await fixture.service.delete(TENANT, id);
    expect(fixture.runtime.calls).toEqual([]);
    expect(fixture.repository.find(id)).toBeUndefined();
  });
});

describe('deleting', () => {
  it.each(STATUSES)('is legal for what is %s, and leaves nothing', async (status) => {
    const { id } = await stages.bring(status);
    const deletion = fixture.service.delete(TENANT, id);
    stages.goOn();
    await deletion;
    expect(fixture.repository.find(id)).toBeUndefined();
    expect(fixture.runtime.sandboxes.size).toBe(0);
    expect(fixture.changes.at(-1)).toMatchObject({ deploymentId: id, from: 'deleting', to: 'deleted' });
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { AppError } from '../errors/app-error.js';
import { DEFAULT_TENANT_ID as TENANT } from '../tenancy/principal.js';
import { DeploymentStats } from './deployment-stats.js';
import type { StatsDto } from './deployment-stats.dto.js';
import { SessionCensus } from './session-census.js';
import { WakeTimes } from './wake-times.js';

let fixture: DeploymentsFixture;
let stats: DeploymentStats;
let census: SessionCensus;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  census = new SessionCensus();
  const { service, runtime, activity, events } = fixture;
  stats = new DeploymentStats(service, runtime, activity, census, new WakeTimes(fixture.starts, events));
});

afterEach(async () => {
  vi.useRealTimers();
  await fixture.dispose();
});

async function reasonOf(id: string): Promise<StatsDto['awake']> {
  return (await stats.of(TENANT, id)).awake;
}

const NOTHING: Partial<StatsDto> = {
  memory: { usedBytes: null, limitBytes: 536_870_912 },
  cpu: { usedSeconds: null, percent: null, windowMs: null, limit: 1 },
  pids: { used: null, limit: null },
  network: { receivedBytes: null, sentBytes: null },
};

describe('the numbers of a deployment', () => {
  it('are its sandbox’s, its clients’ and its disk’s', async () => {
    const { id } = await fixture.running();
    census.ask({
      count: (of) => ({ sessions: of === id ? 3 : 9, callsInFlight: 1 }),
      list: () => [],
      end: () => Promise.resolve(false),
    });
    expect(await stats.of(TENANT, id)).toMatchObject({
      status: 'running',
      memory: { usedBytes: 50_000_000, limitBytes: 536_870_912 },
      cpu: { usedSeconds: 1.5, percent: 20, windowMs: 250, limit: 1 },
      pids: { used: 34, limit: 384 },
      network: { receivedBytes: 100, sentBytes: 200 },
      disk: { usedBytes: 4096, limitBytes: 1_073_741_824 },
      sessions: { active: 3, limit: 16 },
      callsInFlight: 1,
      lastWakeMs: null,
      missing: [],
    });
  });

  it('of another tenant do not exist', async () => {
    const { id } = await fixture.running();
    await expect(stats.of('tn_other', id)).rejects.toMatchObject({ code: 'deployment_not_found' });
    expect(fixture.runtime.calls).not.toContain(`usage ${id}`);
  });

  it.each(['paused', 'failed'] as const)('of one that is %s are its disk’s only', async (status) => {
    const { id } = fixture.rowIn(status);
    expect(await stats.of(TENANT, id)).toMatchObject({
      ...NOTHING,
      disk: { usedBytes: 4096 },
      awake: { because: null, until: null },
      missing: [],
    });
    expect(fixture.runtime.calls).not.toContain(`usage ${id}`);
  });

  it('are null where the sandbox went just now', async () => {
    const { id } = await fixture.running();
    fixture.runtime.failNext('usage', new AppError('sandbox_gone'));
    expect(await stats.of(TENANT, id)).toMatchObject({ ...NOTHING, missing: [] });
  });

  it('say why they are missing where the engine is away, or something else is wrong', async () => {
    const { id } = await fixture.running();
    fixture.runtime.failNext('usage', new AppError('runtime_unavailable', { detail: 'It is away.' }));
    fixture.runtime.diskUsage = () => Promise.reject(new Error('secret path'));
    expect(await stats.of(TENANT, id)).toMatchObject({
      ...NOTHING,
      disk: { usedBytes: null },
      missing: expect.arrayContaining([
        { what: 'sandbox', code: 'runtime_unavailable', message: 'It is away.' },
        { what: 'disk', code: 'internal_error', message: 'Something went wrong on our side.' },
      ]) as StatsDto['missing'],
    });
  });

  it('do not wait for an engine that does not answer', async () => {
    const { id } = await fixture.running();
    fixture.runtime.next('usage', () => new Promise(() => undefined));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const asked = stats.of(TENANT, id);
    await vi.advanceTimersByTimeAsync(3000);
    expect(await asked).toMatchObject({
      ...NOTHING,
      disk: { usedBytes: 4096 },
      missing: [{ what: 'sandbox', message: 'There was no answer within 3 s.' }],
    });
  });
});

describe('why a deployment is awake', () => {
  it('is a call in flight, whatever else', async () => {
    const { id } = await fixture.running();
    const release = fixture.activity.begin(id);
    expect(await reasonOf(id)).toMatchObject({ because: 'call_in_flight', until: null });
    release();
    expect(await reasonOf(id)).toMatchObject({ because: 'never_pauses', until: null });
  });

  it('is its last use, until its idle time is over', async () => {
    const { id } = await fixture.running({ pauseAfterSeconds: 60 });
    const usedAt = Date.now() + 5000;
    fixture.activity.touch(id, usedAt);
    expect(await stats.of(TENANT, id)).toMatchObject({
      lastActivityAt: new Date(usedAt).toISOString(),
      awake: { because: 'recently_used', until: new Date(usedAt + 60_000).toISOString() },
    });
    const old = fixture.rowIn('running', { pauseAfterSeconds: 60 });
    expect(await reasonOf(old.id)).toMatchObject({ because: 'about_to_pause' });
  });
});

it('the last wake is measured', async () => {
  const { id } = await fixture.running();
  fixture.service.pause(TENANT, id);
  await expect.poll(() => fixture.get(id).status).toBe('paused');
  fixture.service.wake(id);
  await expect.poll(() => fixture.get(id).status).toBe('running');
  expect((await stats.of(TENANT, id)).lastWakeMs).toEqual(expect.any(Number));
  fixture.service.restart(TENANT, id);
  await expect.poll(() => fixture.get(id).status).toBe('running');
});

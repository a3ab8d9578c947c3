import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Gate } from '../../test/support/gate.js';
import { AppError } from '../errors/app-error.js';
import { DEFAULT_TENANT_ID as TENANT } from '../tenancy/principal.js';

let fixture: DeploymentsFixture;

beforeEach(() => {
  fixture = new DeploymentsFixture();
});

afterEach(() => fixture.dispose());

/** All that the reconciler can do now is done. */
async function untilStill(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A deployment that finds no room. */
async function waiting(changes: Parameters<DeploymentsFixture['create']>[0] = {}): Promise<string> {
  const { id } = fixture.create(changes);
  await untilStill();
  expect(fixture.get(id).reasonCode).toBe('capacity_exhausted');
  return id;
}

/** Runs, and was used so long ago. */
async function unused(agoMs: number, changes: Parameters<typeof waiting>[0] = {}): Promise<string> {
  const { id } = await fixture.running(changes);
  fixture.database.orm.transaction(() => {
    // The clock never goes back, so these rows are made old by starting it again.
    fixture.repository.transition(id, 'starting', { code: 'ready', message: '' }, 0);
    fixture.repository.transition(id, 'running', { code: 'ready', message: '' }, Date.now() - agoMs);
  });
  return id;
}

async function pauseNow(id: string): Promise<void> {
  fixture.service.pause(TENANT, id);
  await vi.waitFor(() => expect(fixture.get(id).status).toBe('paused'));
}

function statusesOf(...ids: string[]): string[] {
  return ids.map((id) => fixture.get(id).status);
}

describe('MAX_RUNNING', () => {
  beforeEach(() => {
    fixture.config.maxRunning = 2;
  });

  it('lets so many run; the others wait, and say for what', async () => {
    await Promise.all([fixture.running(), fixture.running()]);
    const id = await waiting();
    expect(fixture.get(id)).toMatchObject({
      status: 'pending',
      reasonMessage: 'Waiting for room: 2 of 2 deployments run (MAX_RUNNING).',
    });
    expect(fixture.runtime.calls).not.toContain(`start ${id}`);
  });

  it('lets exactly the next one in for each that leaves, first come first served', async () => {
    const [a, b] = [await fixture.running(), await fixture.running()];
    const line = [await waiting(), await waiting(), await waiting()];
    await pauseNow(a.id);
    await untilStill();
    expect(statusesOf(...line)).toEqual(['running', 'pending', 'pending']);
    await fixture.service.delete(TENANT, b.id);
    await untilStill();
    expect(statusesOf(...line)).toEqual(['running', 'running', 'pending']);
  });

  it('does not let one that comes back before those that wait', async () => {
    const [a] = [await fixture.running(), await fixture.running()];
    const first = await waiting();
    fixture.service.pause(TENANT, a.id);
    fixture.service.start(TENANT, a.id);
    await vi.waitFor(() => expect(fixture.get(first).status).toBe('running'));
    await untilStill();
    expect(fixture.get(a.id)).toMatchObject({ status: 'starting', reasonCode: 'capacity_exhausted' });
  });

  it.each(['deleted', 'paused'])('forgets those in the line that are %s', async (how) => {
    const [a] = [await fixture.running(), await fixture.running()];
    const [first, second] = [await waiting(), await waiting()];
    if (how === 'deleted') await fixture.service.delete(TENANT, first);
    else await pauseNow(first);
    await pauseNow(a.id);
    await vi.waitFor(() => expect(fixture.get(second).status).toBe('running'));
    expect(fixture.runtime.calls).not.toContain(`start ${first}`);
  });

  it('gives the room of a failed start to the next', async () => {
    await fixture.running();
    const start = new Gate();
    fixture.runtime.next('start', async () => {
      await start.wait();
      throw new AppError('image_not_found');
    });
    const failing = fixture.create();
    await start.reached;
    const next = await waiting();
    start.open();
    await vi.waitFor(() => expect(statusesOf(failing.id, next)).toEqual(['failed', 'running']));
  });

  it('keeps the room of one that is restarted, or whose sandbox is gone', async () => {
    const [a, b] = [await fixture.running(), await fixture.running()];
    const next = await waiting();
    fixture.service.restart(TENANT, a.id);
    fixture.runtime.die(b.id);
    await Promise.all(
      [a, b].map(({ id }) => vi.waitFor(() => expect(fixture.get(id).containerId).not.toBeNull())),
    );
    await vi.waitFor(() => expect(statusesOf(a.id, b.id)).toEqual(['running', 'running']));
    expect(fixture.get(next).status).toBe('pending');
  });

  it('counts after a restart of the service what ran before it, also what was created later than those that wait', async () => {
    const first = await fixture.running();
    fixture.config.maxRunning = 1;
    const waits = await waiting();
    fixture.config.maxRunning = 2;
    // The line is not asked again for a higher limit, only after the restart.
    const { id } = fixture.rowIn('running', {}, Date.now() + 1);
    fixture.repository.annotate(id, 'running', { code: 'ready', message: '' }, 0, {
      containerId: 'container-9',
    });
    const sandbox = fixture.runtime.sandboxes.get(first.id);
    if (sandbox)
      fixture.runtime.sandboxes.set(id, { ...sandbox, deploymentId: id, containerId: 'container-9' });
    fixture = await fixture.restart();
    await vi.waitFor(() => expect(statusesOf(first.id, id)).toEqual(['running', 'running']));
    await untilStill();
    expect(fixture.get(waits)).toMatchObject({ status: 'pending', reasonCode: 'capacity_exhausted' });
    await pauseNow(first.id);
    await vi.waitFor(() => expect(fixture.get(waits).status).toBe('running'));
  });
});

describe('MAX_RUNNING_MEMORY', () => {
  beforeEach(() => {
    fixture.config.maxRunningMemoryMb = 1024;
  });

  it('is a sum of limits; a large one is not overtaken by small ones behind it', async () => {
    const [a, b] = [await fixture.running(), await fixture.running({ maxMemoryMb: 256 })];
    const large = await waiting({ maxMemoryMb: 768 });
    const small = await waiting({ maxMemoryMb: 256 });
    expect(fixture.get(large).reasonMessage).toBe(
      'Waiting for room: 768 of 1024 MB are taken (MAX_RUNNING_MEMORY).',
    );
    await pauseNow(b.id);
    await untilStill();
    expect(statusesOf(large, small)).toEqual(['pending', 'pending']);
    await pauseNow(a.id);
    await vi.waitFor(() => expect(statusesOf(large, small)).toEqual(['running', 'running']));
  });

  it('lets in at once as many as have room', async () => {
    const whole = await fixture.running({ maxMemoryMb: 1024 });
    const line = [await waiting(), await waiting(), await waiting()];
    await pauseNow(whole.id);
    await untilStill();
    expect(statusesOf(...line)).toEqual(['running', 'running', 'pending']);
  });

  it('refuses what could never have room, naming the field', async () => {
    const refusal = expect.objectContaining({
      code: 'validation_failed',
      fields: [
        {
          field: 'maxMemory',
          message: 'must be at most 1024, the memory of all deployments here (MAX_RUNNING_MEMORY)',
        },
      ],
    }) as Error;
    expect(() => fixture.create({ maxMemoryMb: 1025 })).toThrow(refusal);
    expect(fixture.repository.list(TENANT, {}, undefined, 10)).toEqual([]);
    const { id } = await fixture.running({ maxMemoryMb: 1024 });
    expect(() => fixture.service.update(TENANT, id, { maxMemoryMb: 1025 })).toThrow(refusal);
    expect(fixture.get(id).maxMemoryMb).toBe(1024);
  });
});

describe('pausing under pressure', () => {
  const LONG_AGO = 60_000;

  beforeEach(() => {
    fixture.config.pauseUnderPressure = true;
    fixture.config.maxRunning = 3;
  });

  it('happens only where it is allowed', async () => {
    fixture.config.pauseUnderPressure = false;
    const ids = [await unused(LONG_AGO), await unused(LONG_AGO), await unused(LONG_AGO)];
    await waiting();
    fixture.capacity.relieve(Date.now());
    expect(statusesOf(...ids)).toEqual(['running', 'running', 'running']);
  });

  it('takes the least recently used one, and no more than are needed', async () => {
    const [b, a, c] = [
      await unused(LONG_AGO + 10_000),
      await unused(LONG_AGO + 20_000),
      await unused(LONG_AGO),
    ];
    const { id } = fixture.create();
    await vi.waitFor(() => expect(fixture.get(id).status).toBe('running'));
    fixture.capacity.relieve(Date.now());
    expect(fixture.get(a)).toMatchObject({ status: 'paused', reasonCode: 'pressure' });
    expect(statusesOf(b, c)).toEqual(['running', 'running']);
  });

  it('takes as many as make room for the memory that is asked for', async () => {
    fixture.config.maxRunningMemoryMb = 1024;
    const [a, b, c] = [
      await unused(LONG_AGO + 20_000, { maxMemoryMb: 256 }),
      await unused(LONG_AGO + 10_000, { maxMemoryMb: 256 }),
      await unused(LONG_AGO, { maxMemoryMb: 256 }),
    ];
    const { id } = fixture.create({ maxMemoryMb: 768 });
    await vi.waitFor(() => expect(fixture.get(id).status).toBe('running'));
    expect(statusesOf(a, b, c)).toEqual(['paused', 'paused', 'running']);
  });

  it('counts what is being paused already', async () => {
    const ids = [await unused(LONG_AGO + 20_000), await unused(LONG_AGO + 10_000), await unused(LONG_AGO)];
    const stop = new Gate();
    fixture.runtime.next('stop', stop.wait);
    const { id } = fixture.create();
    await stop.reached;
    fixture.capacity.relieve(Date.now());
    fixture.capacity.relieve(Date.now());
    expect(statusesOf(...ids)).toEqual(['pausing', 'running', 'running']);
    stop.open();
    await vi.waitFor(() => expect(fixture.get(id).status).toBe('running'));
  });

  it('spares what is busy, was just used, or is used as the row does not know yet', async () => {
    const [busy, probed, touched] = [await unused(LONG_AGO), await unused(LONG_AGO), await unused(LONG_AGO)];
    const end = fixture.activity.begin(busy);
    fixture.activity.alsoBusy((id) => id === probed);
    fixture.activity.touch(touched);
    const id = await waiting();
    fixture.capacity.relieve(Date.now());
    expect(statusesOf(busy, probed, touched, id)).toEqual(['running', 'running', 'running', 'pending']);
    end();
    fixture.capacity.relieve(Date.now() + 10_001);
    await vi.waitFor(() => expect(fixture.get(id).status).toBe('running'));
    expect(fixture.get(probed).status).toBe('running');
  });

  it('happens to nobody when nobody waits', async () => {
    const ids = [await unused(LONG_AGO), await unused(LONG_AGO), await unused(LONG_AGO)];
    fixture.capacity.relieve(Date.now());
    expect(statusesOf(...ids)).toEqual(['running', 'running', 'running']);
  });
});

describe('more memory for what has room', () => {
  it('is refused where there is none, and taken at once where there is', async () => {
    await fixture.dispose();
    fixture = new DeploymentsFixture({ config: { maxRunningMemoryMb: 1536 } });
    const [first, second] = [await fixture.running(), await fixture.running()];
    fixture.service.update(TENANT, first.id, { maxMemoryMb: 1024 });
    const refusal = expect.objectContaining({ code: 'capacity_exhausted' }) as Error;
    expect(() => fixture.service.update(TENANT, second.id, { maxMemoryMb: 513 })).toThrow(refusal);
    expect(fixture.get(second.id).maxMemoryMb).toBe(512);
    fixture.service.restart(TENANT, first.id);
    expect(await fixture.waits.untilSettled(first.id, 5000)).toMatchObject({ status: 'running' });
    fixture.service.update(TENANT, first.id, { maxMemoryMb: 256 });
    expect(() => fixture.service.update(TENANT, second.id, { maxMemoryMb: 1024 })).toThrow(refusal);
    fixture.service.restart(TENANT, first.id);
    await fixture.waits.untilSettled(first.id, 5000);
    fixture.service.update(TENANT, second.id, { maxMemoryMb: 1024 });
    await pauseNow(second.id);
    fixture.service.update(TENANT, second.id, { maxMemoryMb: 1536 });
    expect(fixture.get(second.id).maxMemoryMb).toBe(1536);
  });

  it('and less of it from a restart on lets in who waits', async () => {
    await fixture.dispose();
    fixture = new DeploymentsFixture({ config: { maxRunningMemoryMb: 1024 } });
    const { id } = await fixture.running({ maxMemoryMb: 1024 });
    const next = await waiting();
    fixture.service.update(TENANT, id, { maxMemoryMb: 512 });
    fixture.service.restart(TENANT, id);
    expect(await fixture.waits.untilSettled(next, 5000)).toMatchObject({ status: 'running' });
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { AppError } from '../errors/app-error.js';
import { DEFAULT_TENANT_ID as TENANT } from '../tenancy/principal.js';
import type { StartEnd } from './start-watch.js';

let fixture: DeploymentsFixture;
let probes: string[];

beforeEach(() => {
  fixture = new DeploymentsFixture();
  probes = [];
  fixture.probe.answer = ({ id }) => {
    probes.push(id);
    return Promise.resolve();
  };
});

afterEach(() => fixture.dispose());

/** Has run, and been paused. */
async function paused(): Promise<string> {
  const { id } = await fixture.running();
  fixture.service.pause(TENANT, id);
  await fixture.waits.untilSettled(id, 5000);
  probes.length = 0;
  return id;
}

async function wake(id: string): Promise<string> {
  fixture.service.wake(id);
  return (await fixture.waits.untilSettled(id, 5000)).status;
}

async function start(id: string): Promise<string> {
  fixture.service.start(TENANT, id);
  return (await fixture.waits.untilSettled(id, 5000)).status;
}

describe('a server that has answered before', () => {
  it('is not made to boot twice by the request that wakes it', async () => {
    const id = await paused();
    expect(await wake(id)).toBe('running');
    expect(probes).toEqual([]);
  });

  it('has the account of its earlier runs all the time', async () => {
    const id = await paused();
    const accounts: boolean[] = [];
    fixture.events.onStatus(() => accounts.push(fixture.get(id).hasAccount));
    expect(await start(id)).toBe('running');
    fixture.probe.answer = () => Promise.reject(new AppError('server_exited', { detail: 'It exited.' }));
    fixture.service.restart(TENANT, id);
    expect((await fixture.waits.untilSettled(id, 5000)).status).toBe('failed');
    expect(accounts).toEqual([true, true, true, true]);
  });

  it('is asked again when somebody starts or restarts it', async () => {
    const id = await paused();
    expect(await start(id)).toBe('running');
    expect(probes).toEqual([id]);
    fixture.service.restart(TENANT, id);
    await fixture.waits.untilSettled(id, 5000);
    expect(probes).toEqual([id, id]);
  });

  it('is asked again when the image is another now', async () => {
    const id = await paused();
    fixture.runtime.imageId = 'sha256:1';
    expect(await wake(id)).toBe('running');
    expect(probes).toEqual([id]);
    expect(fixture.get(id).imageId).toBe('sha256:1');
  });

  it('is not asked when only its sandbox was lost', async () => {
    const { id } = await fixture.running();
    probes.length = 0;
    fixture.runtime.die(id);
    await vi.waitFor(() => expect(fixture.get(id).containerId).toBe('container-2'));
    expect(probes).toEqual([]);
  });
});

describe('the first request', () => {
  it('has the server asked, for it has never answered', async () => {
    const { id } = fixture.create({ autoStart: false });
    expect(await wake(id)).toBe('running');
    expect(probes).toEqual([id]);
  });
});

describe('how a start went', () => {
  let told: { id: string; end: StartEnd; sandboxRan: boolean }[];

  beforeEach(() => {
    told = [];
    fixture.starts.observe({
      ended: ({ deploymentId: id }, end, { sandboxSeconds }) =>
        told.push({ id, end, sandboxRan: sandboxSeconds !== undefined }),
    });
  });

  it('is told when it has ended, and whether its sandbox ever ran', async () => {
    const { id } = await fixture.running();
    fixture.runtime.failNext('start', new AppError('image_not_found'));
    const failed = await fixture.running();
    expect(told).toEqual([
      { id, end: 'ready', sandboxRan: true },
      { id: failed.id, end: 'image_not_found', sandboxRan: false },
    ]);
  });

  it('is not told as a success where another was quicker to change the status', async () => {
    const { lifecycle, repository } = fixture;
    const move = lifecycle.move.bind(lifecycle);
    vi.spyOn(lifecycle, 'move').mockImplementation((id, to, reason, now, change) => {
      if (to === 'running') repository.transition(id, 'deleting', { code: 'requested', message: '' }, now);
      return move(id, to, reason, now, change);
    });
    const { id } = fixture.create();
    await vi.waitFor(() => expect(fixture.runtime.calls).toContain(`start ${id}`));
    await fixture.waits.untilGone(id, 5000);
    expect(told.map(({ end }) => end)).toEqual(['superseded']);
  });
});

describe('a start that fails', () => {
  const refusal = new AppError('server_exited', { detail: 'Exit code 1. stderr: no config' });

  it('leaves nothing of what never ran', async () => {
    fixture.probe.answer = () => Promise.reject(refusal);
    const { id } = await fixture.running();
    expect(fixture.runtime.calls).toContain(`remove ${id}`);
    expect(fixture.get(id)).toMatchObject({ status: 'failed', hasRemains: false, containerId: null });
  });

  it('keeps what was stored by what has run, which a start brings back', async () => {
    const id = await paused();
    fixture.probe.answer = () => Promise.reject(refusal);
    expect(await start(id)).toBe('failed');
    expect(fixture.get(id)).toMatchObject({
      reasonCode: 'server_exited',
      hasRemains: true,
      containerId: null,
    });
    expect(fixture.runtime.sandboxes.size).toBe(0);
    expect(fixture.runtime.calls).not.toContain(`remove ${id}`);
    fixture.probe.answer = () => Promise.resolve();
    expect(await start(id)).toBe('running');
    expect(fixture.runtime.calls).not.toContain(`remove ${id}`);
  });

  it('has not failed as long as its sandbox cannot be stopped', async () => {
    const id = await paused();
    fixture.probe.answer = () => Promise.reject(refusal);
    fixture.runtime.failNext('stop', new AppError('runtime_unavailable', { detail: 'No engine.' }));
    expect(await start(id)).toBe('failed');
    expect(fixture.runtime.sandboxes.size).toBe(0);
    expect(fixture.get(id)).toMatchObject({ reasonCode: 'server_exited', containerId: null });
  });

  it('of a new one is tried again when it was the engine that could not be asked', async () => {
    fixture.runtime.failNext('start', new AppError('runtime_unavailable', { detail: 'No engine.' }));
    const { id } = fixture.create();
    await vi.waitFor(() =>
      expect(fixture.get(id)).toMatchObject({ status: 'starting', reasonCode: 'runtime_unavailable' }),
    );
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
    expect(fixture.runtime.calls).not.toContain(`remove ${id}`);
  });

  it.each(['runtime_unavailable', 'disk_full'] as const)(
    'for %s is tried again when it ran before: that is not its fault',
    async (code) => {
      const id = await paused();
      fixture.runtime.failNext('start', new AppError(code, { detail: 'The host has trouble.' }));
      fixture.service.wake(id);
      await vi.waitFor(() =>
        expect(fixture.get(id)).toMatchObject({
          status: 'starting',
          reasonCode: code,
          reasonMessage: 'The host has trouble. Trying again.',
        }),
      );
      expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
    },
  );
});

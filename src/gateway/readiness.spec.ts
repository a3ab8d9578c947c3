import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Gate } from '../../test/support/gate.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { AppError } from '../errors/app-error.js';
import { DEFAULT_TENANT_ID } from '../tenancy/principal.js';
import { Readiness } from './readiness.js';

let fixture: DeploymentsFixture;
let readiness: Readiness;

const never = new AbortController().signal;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  readiness = new Readiness(fixture.repository, fixture.service, fixture.waits, fixture.reconciler);
});

afterEach(() => fixture.dispose());

function statusOf(row: DeploymentRow): Promise<string> {
  return Promise.resolve(row.status);
}

function startsOf(id: string): number {
  return fixture.runtime.calls.filter((call) => call === `start ${id}`).length;
}

async function paused(changes: Parameters<DeploymentsFixture['create']>[0] = {}): Promise<string> {
  const { id } = await fixture.running(changes);
  await pause(id);
  return id;
}

async function pause(id: string): Promise<void> {
  fixture.lifecycle.move(id, 'pausing', { code: 'idle', message: 'Nobody used it.' }, Date.now());
  await fixture.waits.untilSettled(id, 5000);
  expect(fixture.get(id).status).toBe('paused');
}

describe('a deployment that is needed', () => {
  it('and runs is used at once, with its row', async () => {
    const { id } = await fixture.running();
    expect(await readiness.whileRunning(id, never, (row) => Promise.resolve(row.id))).toBe(id);
    expect(startsOf(id)).toBe(1);
  });

  it('and is paused wakes once for 100 callers at once, and serves each', async () => {
    const id = await paused();
    const calls = Array.from({ length: 100 }, () =>
      readiness.whileRunning(id, new AbortController().signal, statusOf),
    );
    expect(await Promise.all(calls)).toEqual(calls.map(() => 'running'));
    expect(startsOf(id)).toBe(2);
    expect(fixture.changes.filter(({ to }) => to === 'starting')).toHaveLength(2);
  });

  it('and is just being paused is woken all the same', async () => {
    const { id } = await fixture.running();
    const stop = new Gate();
    fixture.runtime.next('stop', stop.wait);
    fixture.lifecycle.move(id, 'pausing', { code: 'idle', message: 'Nobody used it.' }, Date.now());
    await stop.reached;
    const needed = readiness.whileRunning(id, never, statusOf);
    stop.open();
    expect(await needed).toBe('running');
    expect(fixture.get(id).status).toBe('running');
  });

  it('and is starting is waited for', async () => {
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const { id } = fixture.create();
    const needed = readiness.whileRunning(id, never, statusOf);
    await start.reached;
    start.open();
    expect(await needed).toBe('running');
    expect(startsOf(id)).toBe(1);
  });

  it('and is paused again while it is waited for is woken again', async () => {
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const { id } = fixture.create();
    const needed = readiness.whileRunning(id, never, statusOf);
    await start.reached;
    const unsubscribe = fixture.events.onStatus(({ to }) => {
      if (to !== 'running') return;
      unsubscribe();
      fixture.lifecycle.move(id, 'pausing', { code: 'idle', message: 'Nobody used it.' }, Date.now());
    });
    start.open();
    expect(await needed).toBe('running');
    expect(fixture.changes.map(({ to }) => to)).toContain('pausing');
    expect(fixture.get(id).status).toBe('running');
  });

  it('and has failed, before or while it is waited for, says so with the reason', async () => {
    const start = new Gate();
    fixture.runtime.next('start', async () => {
      await start.wait();
      throw new AppError('image_not_found', { detail: 'There is no image.' });
    });
    const { id } = fixture.create();
    const failing = expect(readiness.whileRunning(id, never, statusOf)).rejects.toMatchObject({
      code: 'deployment_failed',
      detail: 'There is no image.',
      retryAfterSeconds: 30,
    });
    await start.reached;
    start.open();
    await failing;
    await expect(readiness.whileRunning(id, never, statusOf)).rejects.toMatchObject({
      code: 'deployment_failed',
    });
    expect(startsOf(id)).toBe(1);
  });

  it('and has failed after it has served says why, and not what the server said, which may be about others', async () => {
    const { id } = await fixture.running();
    const message = 'It exited with code 1. It said:\nbad token s3cret of another client';
    fixture.lifecycle.move(id, 'failed', { code: 'server_exited', message }, Date.now());
    await expect(readiness.whileRunning(id, never, statusOf)).rejects.toMatchObject({
      code: 'deployment_failed',
      detail: 'It exited with code 1',
    });
    expect(fixture.get(id).reasonMessage).toBe(message);
  });

  it('and is deleted, before or while it is waited for, is not found', async () => {
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const { id } = fixture.create();
    const waiting = expect(readiness.whileRunning(id, never, statusOf)).rejects.toMatchObject({
      code: 'deployment_not_found',
    });
    await start.reached;
    const deleted = fixture.service.delete(DEFAULT_TENANT_ID, id);
    await waiting;
    start.open();
    await deleted;
    await expect(readiness.whileRunning(id, never, statusOf)).rejects.toMatchObject({
      code: 'deployment_not_found',
    });
  });

  it('and does not come within its time is given up with the present reason, and goes on coming', async () => {
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const { id } = fixture.create({ startTimeoutSeconds: 1 });
    const late = readiness.whileRunning(id, never, statusOf);
    await start.reached;
    await expect(late).rejects.toMatchObject({
      code: 'deployment_not_ready',
      detail: 'Creating the network.',
      retryAfterSeconds: 2,
    });
    start.open();
    await fixture.waits.untilSettled(id, 5000);
  });

  it('is not waited for by a client that left, and wakes for the others', async () => {
    const id = await paused();
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const leaver = new AbortController();
    const left = expect(readiness.whileRunning(id, leaver.signal, statusOf)).rejects.toThrow('left');
    const stays = readiness.whileRunning(id, never, statusOf);
    await start.reached;
    leaver.abort(new Error('left'));
    await left;
    start.open();
    expect(await stays).toBe('running');
  });
});

describe('work in a sandbox that turns out to be gone', () => {
  it('is done once more when it is back', async () => {
    const { id } = await fixture.running();
    const containers: (string | null)[] = [];
    const result = await readiness.whileRunning(id, never, ({ containerId }) => {
      containers.push(containerId);
      if (containers.length > 1) return Promise.resolve('done');
      fixture.runtime.sandboxes.delete(id);
      return Promise.reject(new AppError('sandbox_gone'));
    });
    expect(result).toBe('done');
    expect(containers).toEqual(['container-1', 'container-2']);
  });

  it('three times more, then its error is told', async () => {
    const { id } = await fixture.running();
    let tries = 0;
    const work = (): Promise<never> => {
      tries++;
      fixture.runtime.sandboxes.delete(id);
      return Promise.reject(new AppError('sandbox_gone', { detail: `${tries}` }));
    };
    await expect(readiness.whileRunning(id, never, work)).rejects.toMatchObject({
      code: 'sandbox_gone',
      detail: '4',
    });
    expect(tries).toBe(4);
  });

  it('that fails for any other reason is not done again', async () => {
    const { id } = await fixture.running();
    let tries = 0;
    const fault = new AppError('server_exited');
    const work = (): Promise<never> => {
      tries++;
      return Promise.reject(fault);
    };
    await expect(readiness.whileRunning(id, never, work)).rejects.toBe(fault);
    expect(tries).toBe(1);
  });
});

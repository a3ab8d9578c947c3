import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Gate } from '../../test/support/gate.js';
import { AppError } from '../errors/app-error.js';
import { DEFAULT_TENANT_ID } from '../tenancy/principal.js';

let fixture: DeploymentsFixture;

beforeEach(() => {
  fixture = new DeploymentsFixture();
});

afterEach(() => fixture.dispose());

describe('a sandbox that is gone', () => {
  it.each([
    ['out_of_memory', 'out_of_memory'],
    ['stopped', 'sandbox_gone'],
  ] as const)('is started again, and the row says that it was %s', async (stop, code) => {
    const { id } = await fixture.running();
    fixture.runtime.sandboxes.clear();
    fixture.runtime.stopReason = stop;
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    fixture.reconciler.request(id);
    await start.reached;
    expect(fixture.get(id)).toMatchObject({ status: 'starting', reasonCode: code });
    start.open();
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ containerId: 'container-2' });
  });

  it('is not believed gone when the engine cannot tell', async () => {
    const { id } = await fixture.running();
    fixture.runtime.failNext('find', new AppError('runtime_unavailable'));
    fixture.reconciler.request(id);
    const runs = { status: 'running', containerId: 'container-1' };
    await vi.waitFor(() =>
      expect(fixture.get(id)).toMatchObject({ ...runs, reasonCode: 'runtime_unavailable' }),
    );
    await vi.waitFor(
      () =>
        expect(fixture.get(id)).toMatchObject({
          ...runs,
          reasonCode: 'ready',
          reasonMessage: 'The container engine answers again.',
        }),
      3000,
    );
    expect(fixture.changes.map(({ to }) => to)).toEqual(['starting', 'running']);
  });

  it('comes back together with the engine', async () => {
    const { id } = await fixture.running();
    fixture.runtime.sandboxes.clear();
    fixture.runtime.failNext('start', new AppError('runtime_unavailable', { detail: 'No engine.' }));
    fixture.reconciler.request(id);
    await vi.waitFor(() => expect(fixture.get(id).status).toBe('starting'));
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
  });
});

describe('a restart of the service', () => {
  it('leaves sandboxes running, then takes them over after killing stray processes', async () => {
    const { id } = await fixture.running();
    fixture = await fixture.restart();
    expect(fixture.get(id)).toMatchObject({ status: 'starting', reasonCode: 'adopting' });
    const row = await fixture.waits.untilSettled(id, 5000);
    expect(row).toMatchObject({ status: 'running', containerId: 'container-1' });
    expect(fixture.runtime.calls.filter((call) => call.startsWith('start'))).toHaveLength(1);
    expect(fixture.runtime.calls.at(-1)).toBe(`killStrays ${id}`);
  });

  it('starts again what stopped meanwhile, and finishes what was begun', async () => {
    const stopped = await fixture.running();
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const begun = fixture.create();
    await start.reached;
    const ended = fixture.restart();
    start.open();
    fixture = await ended;
    fixture.runtime.sandboxes.delete(stopped.id);
    for (const { id } of [stopped, begun]) {
      expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
    }
  });

  it('finishes a deletion', async () => {
    const { id } = await fixture.running();
    fixture.lifecycle.move(id, 'deleting', { code: 'requested', message: '' }, 0);
    fixture = await fixture.restart();
    await fixture.waits.untilGone(id, 5000);
    expect(fixture.runtime.sandboxes.size).toBe(0);
  });

  it('finishes a pause', async () => {
    const { id } = await fixture.running();
    const stop = new Gate();
    fixture.runtime.next('stop', stop.wait);
    fixture.service.pause(DEFAULT_TENANT_ID, id);
    await stop.reached;
    const ended = fixture.restart();
    stop.open();
    fixture = await ended;
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({
      status: 'paused',
      reasonMessage: 'It was told to pause. It wakes with the next request.',
    });
    expect(fixture.runtime.sandboxes.size).toBe(0);
  });

  it('does not ask the engine about what is paused, or has failed and is gone', async () => {
    const { id } = await fixture.running();
    fixture.service.pause(DEFAULT_TENANT_ID, id);
    const paused = await fixture.waits.untilSettled(id, 5000);
    fixture.runtime.failNext('start', new AppError('image_not_found'));
    const failed = await fixture.running();
    fixture = await fixture.restart();
    expect(fixture.repository.listUnfinished()).toEqual([]);
    await vi.waitFor(() => expect(fixture.runtime.calls.at(-1)).toBe('list'));
    fixture.runtime.calls.length = 0;
    fixture.runtime.comeBack();
    await new Promise((resolve) => setImmediate(resolve));
    expect(fixture.runtime.calls).toEqual([]);
    expect([fixture.get(id), fixture.get(failed.id)]).toEqual([paused, failed]);
  });

  it('starts nothing before what no row speaks of is gone: it may have the same uid and subnet', async () => {
    const { id } = await fixture.running();
    const sandbox = fixture.runtime.sandboxes.get(id);
    // As after a return to an older copy of the database, where another deployment has come since.
    fixture.runtime.sandboxes.clear();
    if (sandbox !== undefined) fixture.runtime.sandboxes.set('dp_orphan', sandbox);
    const removal = new Gate();
    fixture.runtime.next('remove', removal.wait);
    fixture = await fixture.restart();
    await removal.reached;
    await vi.waitFor(() => expect(fixture.runtime.calls).toContain(`find ${id}`));
    await new Promise((resolve) => setImmediate(resolve));
    expect(fixture.runtime.calls.filter((call) => call === `start ${id}`)).toHaveLength(1);
    removal.open();
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
    expect([...fixture.runtime.sandboxes.keys()]).toEqual([id]);
  });

  it('starts all the same where that cannot be removed', async () => {
    const { id } = await fixture.running();
    fixture.runtime.sandboxes.clear();
    fixture.runtime.failNext('list', new AppError('runtime_unavailable'));
    fixture = await fixture.restart();
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
  });

  it('stops what the engine still has of a paused one, and keeps what it has stored', async () => {
    const { id } = await fixture.running();
    const sandbox = fixture.runtime.sandboxes.get(id);
    fixture.service.pause(DEFAULT_TENANT_ID, id);
    await fixture.waits.untilSettled(id, 5000);
    // As after a return to an older copy of the database.
    if (sandbox !== undefined) fixture.runtime.sandboxes.set(id, sandbox);
    fixture = await fixture.restart();
    await vi.waitFor(() => expect(fixture.runtime.sandboxes.size).toBe(0));
    expect(fixture.runtime.calls).not.toContain(`remove ${id}`);
    expect(fixture.get(id).status).toBe('paused');
  });

  it('takes away what runs of one that has failed', async () => {
    const { id } = await fixture.running();
    fixture.repository.transition(id, 'failed', { code: 'server_exited', message: 'Five times.' }, 0);
    fixture = await fixture.restart();
    await vi.waitFor(() => expect(fixture.get(id).containerId).toBeNull());
    expect(fixture.runtime.sandboxes.size).toBe(0);
    expect(fixture.runtime.calls).not.toContain(`remove ${id}`);
    expect(fixture.get(id)).toMatchObject({
      status: 'failed',
      reasonMessage: 'Five times.',
      hasRemains: true,
    });
  });

  it('removes what has no row', async () => {
    const { id } = await fixture.running();
    const sandbox = fixture.runtime.sandboxes.get(id);
    if (sandbox !== undefined) fixture.runtime.sandboxes.set('dp_foreign', sandbox);
    fixture = await fixture.restart();
    await vi.waitFor(() => expect([...fixture.runtime.sandboxes.keys()]).toEqual([id]));
  });

  it('is refused when the firewall would not protect an old network', async () => {
    await fixture.running();
    fixture.config.sandboxSubnetPool = '10.99.0.0/16';
    await expect(fixture.restart()).rejects.toThrow('SANDBOX_SUBNET_POOL does not contain the networks of 1');
    fixture = new DeploymentsFixture();
  });
});

describe('waiting', () => {
  it('ends with the present reason when it takes too long', async () => {
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const { id } = fixture.create();
    await start.reached;
    await expect(fixture.waits.untilSettled(id, 1)).rejects.toMatchObject({
      code: 'deployment_not_ready',
      detail: 'Creating the network.',
    });
    start.open();
  });

  it('ends when the service shuts down', async () => {
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const { id } = fixture.create();
    const wait = expect(fixture.waits.untilSettled(id, 60_000)).rejects.toMatchObject({
      code: 'shutting_down',
    });
    await start.reached;
    fixture.waits.beforeApplicationShutdown();
    await wait;
    start.open();
  });
});

it('a database that takes no writes for a while delays the work on a deployment, and does not end it', async () => {
  const start = new Gate();
  fixture.runtime.next('start', start.wait);
  const { id } = fixture.create();
  await start.reached;
  // As with a full disk.
  fixture.database.orm.run('pragma query_only = on');
  start.open();
  await vi.waitFor(() => expect(fixture.runtime.calls).toContain(`remove ${id}`));
  await new Promise((resolve) => setImmediate(resolve));
  expect(fixture.get(id).status).toBe('starting');
  fixture.database.orm.run('pragma query_only = off');
  expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
});

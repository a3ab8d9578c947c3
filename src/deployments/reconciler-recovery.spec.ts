import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Gate } from '../../test/support/gate.js';
import { AppError } from '../errors/app-error.js';

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
    await vi.waitFor(
      () => expect(fixture.runtime.calls.filter((call) => call === `find ${id}`)).toHaveLength(2),
      3000,
    );
    expect(fixture.get(id)).toMatchObject({
      status: 'running',
      reasonCode: 'ready',
      containerId: 'container-1',
    });
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

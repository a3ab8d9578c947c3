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

describe('starting', () => {
  it('takes a new deployment to running and keeps what the sandbox is', async () => {
    const row = await fixture.running();
    expect(row).toMatchObject({
      status: 'running',
      reasonCode: 'ready',
      containerId: 'container-1',
      runtime: 'runsc',
      networkName: `net-${row.id}`,
      hasAccount: true,
    });
    expect(fixture.changes.map(({ from, to }) => `${from}→${to}`)).toEqual([
      'pending→starting',
      'starting→running',
    ]);
  });

  it('shows what it is doing', async () => {
    const start = new Gate();
    fixture.runtime.next('start', start.wait);
    const { id } = fixture.create();
    await start.reached;
    expect(fixture.get(id)).toMatchObject({ status: 'starting', reasonMessage: 'Creating the network.' });
    start.open();
    await fixture.waits.untilSettled(id, 5000);
  });

  it.each([
    ['image_not_found', 'There is no image mcp/echo:1.'],
    ['disk_full', 'The host has 10 MB left, maxDisk is 1024 MB.'],
  ] as const)(
    'ends as failed with %s when the sandbox cannot be made, and leaves nothing',
    async (code, detail) => {
      fixture.runtime.failNext('start', new AppError(code, { detail }));
      const row = await fixture.running();
      expect(row).toMatchObject({
        status: 'failed',
        reasonCode: code,
        reasonMessage: detail,
        hasRemains: false,
      });
      expect(fixture.runtime.calls).toContain(`remove ${row.id}`);
    },
  );

  it('waits for an engine that is away, says so, and goes on when it is back', async () => {
    const again = new Gate();
    fixture.runtime.failNext('start', new AppError('runtime_unavailable', { detail: 'No engine.' }));
    fixture.runtime.next('start', again.wait);
    const { id } = fixture.create();
    await expect
      .poll(() => fixture.get(id))
      .toMatchObject({ status: 'starting', reasonCode: 'runtime_unavailable' });
    fixture.runtime.comeBack();
    await again.reached;
    again.open();
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
  });

  it('ends as failed with the last words of a server that does not speak MCP, and leaves nothing', async () => {
    fixture.probe.answer = () =>
      Promise.reject(new AppError('server_exited', { detail: 'Exit code 1. stderr: no config' }));
    const row = await fixture.running();
    expect(row).toMatchObject({ status: 'failed', reasonCode: 'server_exited', containerId: null });
    expect(row.reasonMessage).toContain('no config');
    expect(fixture.runtime.sandboxes.size).toBe(0);
  });

  it('does not show an unknown error', async () => {
    fixture.runtime.failNext('start', new Error('password=hunter2'));
    expect(await fixture.running()).toMatchObject({
      reasonCode: 'sandbox_start_failed',
      reasonMessage: 'The sandbox could not be started.',
    });
  });

  it('cleans up later when the engine could not remove what a failed start made', async () => {
    fixture.runtime.failNext('start', new AppError('sandbox_start_failed'));
    fixture.runtime.failNext('remove', new AppError('runtime_unavailable'));
    const row = await fixture.running();
    expect(row).toMatchObject({ status: 'failed', hasRemains: true });
    fixture.reconciler.request(row.id);
    await vi.waitFor(() => expect(fixture.get(row.id).hasRemains).toBe(false));
  });

  it('gives up on a server that stays silent', async () => {
    fixture.probe.answer = (_row, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    const row = await fixture.running({ startTimeoutSeconds: 0.05 });
    expect(row).toMatchObject({ status: 'failed', reasonCode: 'start_timeout' });
    expect(row.reasonMessage).toContain('Waiting for the MCP server to answer');
  });

  it('starts fifty at once, six at a time', async () => {
    const rows = await Promise.all(Array.from({ length: 50 }, () => fixture.running()));
    expect(rows.every((row) => row.status === 'running')).toBe(true);
    expect(fixture.runtime.mostStartsAtOnce).toBe(6);
    expect(new Set(rows.map((row) => row.subnetAddress)).size).toBe(50);
  });
});

describe('deleting', () => {
  it('leaves nothing', async () => {
    const { id } = await fixture.running();
    await fixture.service.delete(DEFAULT_TENANT_ID, id);
    expect(fixture.repository.find(id)).toBeUndefined();
    expect(fixture.runtime.sandboxes.size).toBe(0);
    expect(fixture.changes.at(-1)).toMatchObject({ deploymentId: id, from: 'deleting', to: 'deleted' });
  });

  it('stops a start, removes what it made, and ends the waits for it', async () => {
    const probing = new Gate();
    fixture.probe.answer = (_row, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
        void probing.wait();
      });
    const { id } = fixture.create();
    const wait = expect(fixture.waits.untilSettled(id, 5000)).rejects.toThrow('No such deployment');
    await probing.reached;
    await fixture.service.delete(DEFAULT_TENANT_ID, id);
    await wait;
    expect(fixture.repository.find(id)).toBeUndefined();
    expect(fixture.runtime.sandboxes.size).toBe(0);
    expect(fixture.changes.some(({ to }) => to === 'failed')).toBe(false);
  });

  it('is done while it still waits for its turn to start', async () => {
    const starts = Array.from({ length: 6 }, () => new Gate());
    for (const start of starts) fixture.runtime.next('start', start.wait);
    for (const _ of starts) fixture.create();
    await Promise.all(starts.map((start) => start.reached));
    const { id } = fixture.create();
    await fixture.service.delete(DEFAULT_TENANT_ID, id);
    expect(fixture.runtime.calls).not.toContain(`start ${id}`);
    for (const start of starts) start.open();
  });

  it('goes on until the engine has removed everything', async () => {
    const { id } = await fixture.running();
    fixture.runtime.failNext('remove', new AppError('runtime_unavailable', { detail: 'No engine.' }));
    const deletion = fixture.service.delete(DEFAULT_TENANT_ID, id);
    await vi.waitFor(() => {
      expect(fixture.get(id)).toMatchObject({
        status: 'deleting',
        reasonMessage: 'No engine. Trying again.',
      });
    });
    await deletion;
    expect(fixture.repository.find(id)).toBeUndefined();
  });

  it('is one removal for two that ask', async () => {
    const { id } = await fixture.running();
    const removal = new Gate();
    fixture.runtime.next('remove', removal.wait);
    const both = [1, 2].map(() => fixture.service.delete(DEFAULT_TENANT_ID, id));
    await removal.reached;
    removal.open();
    await Promise.all(both);
    expect(fixture.runtime.calls.filter((call) => call === `remove ${id}`)).toHaveLength(1);
  });

  it('keeps its turn for one that asks again', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => fixture.running()));
    // Nothing more is done about them.
    await new Promise((resolve) => setImmediate(resolve));
    const gates = all.slice(0, 6).map(() => new Gate());
    for (const gate of gates) fixture.runtime.next('remove', gate.wait);
    const deletions = all.map(({ id }) => fixture.service.delete(DEFAULT_TENANT_ID, id));
    await Promise.all(gates.map(({ reached }) => reached));
    const [seventh, eighth] = all.slice(6).map(({ id }) => `remove ${id}`);
    deletions.push(fixture.service.delete(DEFAULT_TENANT_ID, String(all[6]?.id)));
    for (const gate of gates) gate.open();
    await Promise.all(deletions);
    const order = fixture.runtime.calls.filter((call) => call === seventh || call === eighth);
    expect(order).toEqual([seventh, eighth]);
  });

  it('is legal for a failed one', async () => {
    fixture.runtime.failNext('start', new AppError('image_not_found'));
    const { id } = await fixture.running();
    await fixture.service.delete(DEFAULT_TENANT_ID, id);
    expect(fixture.repository.find(id)).toBeUndefined();
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { Gate } from '../../test/support/gate.js';
import { DEFAULT_TENANT_ID as TENANT } from '../tenancy/principal.js';
import type { Crash } from './crash-loops.js';

const EXIT = { code: 'server_exited', message: 'Exit code 3. stderr: no such file: config.json' } as const;
const GONE = { code: 'sandbox_gone', message: 'The sandbox stopped and is started again.' } as const;
const FULL = {
  code: 'out_of_memory',
  message: 'The sandbox ran out of memory and is started again.',
} as const;

let fixture: DeploymentsFixture;

beforeEach(() => {
  fixture = new DeploymentsFixture();
});

afterEach(() => fixture.dispose());

/** Crashes so many times, each as early as it can; gives how long each back-off was. */
function crash(id: string, times: number, why: Crash = EXIT, from = 0): number[] {
  let now = from;
  return Array.from({ length: times }, () => {
    fixture.crashes.note(id, why, now);
    const waitMs = fixture.crashes.waitMs(id, now);
    now += waitMs;
    return waitMs;
  });
}

function crashEventsOf(id: string): unknown[] {
  return fixture
    .told()
    .filter((event) => event.type === 'crash' && event.deploymentId === id)
    .map(({ code, failures, retryInSeconds }) => [code, failures, retryInSeconds]);
}

describe('the back-off', () => {
  it('doubles with each crash in a row, up to half a minute', () => {
    const { id } = fixture.rowIn('running');
    expect(crash(id, 9, GONE)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(crashEventsOf(id)).toHaveLength(9);
  });

  it('counts many processes that end together once', () => {
    const { id } = fixture.rowIn('running');
    for (let n = 0; n < 20; n += 1) fixture.crashes.note(id, EXIT, 1000 + n);
    expect(fixture.crashes.waitMs(id, 1019)).toBe(481);
    expect(crashEventsOf(id)).toEqual([['server_exited', 1, 0.5]]);
    expect(fixture.get(id)).toMatchObject({ status: 'running', reasonCode: 'server_exited' });
  });

  it('is of one deployment', () => {
    const [{ id }, other] = [fixture.rowIn('running'), fixture.rowIn('running')];
    crash(id, 3);
    expect(fixture.crashes.waitMs(other.id, 0)).toBe(0);
    expect(fixture.crashes.requireSoon(other.id, 0)).toBe(0);
  });

  it('is over after some work, and the row says so', () => {
    const { id } = fixture.rowIn('running');
    crash(id, 4);
    fixture.crashes.noteWork(id, 9000);
    expect(fixture.get(id)).toMatchObject({
      reasonCode: 'ready',
      reasonMessage: 'The MCP server answers again.',
    });
    expect(fixture.crashes.waitMs(id, 3501)).toBe(0);
    expect(crash(id, 1, EXIT, 10_000)).toEqual([500]);
  });

  it('leaves the words of the row alone when there was none', () => {
    const { id } = fixture.rowIn('running');
    fixture.crashes.noteWork(id, 9000);
    expect(fixture.get(id)).toMatchObject({ reasonCode: 'created', reasonAt: 0 });
  });

  it.each(['pausing', 'paused', 'failed', 'deleting'] as const)(
    'is not for processes that end with a sandbox that is %s',
    (status) => {
      const { id } = fixture.rowIn(status);
      crash(id, 9);
      expect(fixture.crashes.waitMs(id, 0)).toBe(0);
      expect(fixture.told()).toEqual([]);
      expect(fixture.get(id).status).toBe(status);
    },
  );

  it('remembers nothing of what is deleted', async () => {
    const { id } = await fixture.running();
    crash(id, 2);
    await fixture.service.delete(TENANT, id);
    fixture.crashes.note(id, EXIT, 0);
    expect(fixture.crashes.waitMs(id, 0)).toBe(0);
  });
});

describe('a request', () => {
  it('is not told what the server said to another client', () => {
    const { id } = fixture.rowIn('running');
    crash(id, 4, { ...EXIT, told: 'Exit code 3.' });
    expect(fixture.get(id).reasonMessage).toContain('config.json');
    expect(() => fixture.crashes.requireSoon(id, 3500)).toThrow(
      expect.objectContaining({
        detail: 'It is started again in 4 s, after 4 crashes in a row. Exit code 3.',
      }),
    );
  });

  it('waits for a short back-off, and is told the rest, the time and the last words at a long one', () => {
    const { id } = fixture.rowIn('running');
    crash(id, 2);
    expect(fixture.crashes.requireSoon(id, 500)).toBe(1000);
    crash(id, 1, EXIT, 1500);
    expect(() => fixture.crashes.requireSoon(id, 1600)).toThrow(
      expect.objectContaining({
        code: 'server_exited',
        retryAfterSeconds: 2,
        detail: `It is started again in 2 s, after 3 crashes in a row. ${EXIT.message}`,
      }) as Error,
    );
    expect(fixture.crashes.requireSoon(id, 3500)).toBe(0);
  });
});

describe('the fifth crash in a row', () => {
  it.each([EXIT, FULL])('of $code ends as failed with it and the last words', async ({ code, message }) => {
    const { id } = await fixture.running();
    crash(id, 4, { code, message });
    expect(fixture.get(id)).toMatchObject({ status: 'running', reasonCode: code });
    expect(fixture.get(id).reasonMessage).toMatch(/^It ended by itself 4 times in a row; .* 4 s\. /);
    crash(id, 1, { code, message }, 7500);
    expect(fixture.get(id)).toMatchObject({
      status: 'failed',
      reasonCode: code,
      reasonMessage: `It ended by itself 5 times in a row. ${message}`,
    });
    expect(crashEventsOf(id).map((event) => (event as unknown[])[1])).toEqual([1, 2, 3, 4, 5]);
    // What runs of it is taken away, and what it has stored stays.
    await vi.waitFor(() => expect(fixture.get(id).containerId).toBeNull());
    expect(fixture.runtime.sandboxes.has(id)).toBe(false);
    expect(fixture.runtime.calls).not.toContain(`remove ${id}`);
    expect(fixture.get(id)).toMatchObject({ status: 'failed', hasRemains: true, reasonCode: code });
  });

  it('of a sandbox that somebody stops does not', async () => {
    const { id } = await fixture.running();
    crash(id, 9, GONE);
    expect(fixture.get(id).status).toBe('running');
  });

  it('is followed by a fresh start, also when its sandbox is not gone yet', async () => {
    const { id } = await fixture.running();
    const stop = new Gate();
    fixture.runtime.next('stop', stop.wait);
    let probes = 0;
    fixture.probe.answer = () => {
      probes += 1;
      return Promise.resolve();
    };
    crash(id, 5);
    await stop.reached;
    fixture.service.start(TENANT, id);
    expect(fixture.crashes.waitMs(id, 0)).toBe(0);
    stop.open();
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({
      status: 'running',
      containerId: 'container-2',
      reasonMessage: 'The MCP server answers.',
    });
    expect(probes).toBe(1);
    expect(crash(id, 1)).toEqual([500]);
  });
});

describe('a sandbox that dies again and again', () => {
  it('is started later each time, and holds up no other start while it waits', async () => {
    const looping = await Promise.all(Array.from({ length: 6 }, () => fixture.running()));
    const far = Date.now() + 3_600_000;
    for (const { id } of looping) {
      fixture.crashes.note(id, GONE, far);
      fixture.runtime.die(id);
    }
    await vi.waitFor(() => {
      for (const { id } of looping) expect(fixture.get(id).status).toBe('starting');
    });
    expect(await fixture.running()).toMatchObject({ status: 'running' });
    expect(fixture.get(looping[0]?.id ?? '').status).toBe('starting');
    await Promise.all(looping.map(({ id }) => fixture.service.delete(TENANT, id)));
  });

  it('is started at once when somebody says so', async () => {
    const { id } = await fixture.running();
    fixture.crashes.note(id, GONE, Date.now() + 3_600_000);
    fixture.runtime.die(id);
    await vi.waitFor(() => expect(fixture.get(id).status).toBe('starting'));
    fixture.service.start(TENANT, id);
    expect(await fixture.waits.untilSettled(id, 5000)).toMatchObject({ status: 'running' });
  });
});

it('a database that takes no writes keeps nobody from being told, and the count goes on', () => {
  const { id } = fixture.rowIn('running');
  fixture.database.orm.run('pragma query_only = on');
  expect(crash(id, 2)).toEqual([500, 1000]);
  fixture.crashes.noteWork(id, 2000);
  expect(fixture.crashes.waitMs(id, 2000)).toBe(0);
  fixture.database.orm.run('pragma query_only = off');
});

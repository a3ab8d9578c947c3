import { Logger } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { STATUSES, type Status, TRANSITIONS } from './deployment.js';
import { DeploymentEvents, type ServerCrash, type StatusChange } from './deployment-events.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';

const REASON = { code: 'requested', message: 'Because.' } as const;

let fixture: DeploymentsFixture;
let events: DeploymentEvents;
let lifecycle: DeploymentLifecycle;
let changes: StatusChange[];
let lines: unknown[];

beforeEach(() => {
  fixture = new DeploymentsFixture();
  // Events of its own: nobody moves the rows on.
  events = new DeploymentEvents();
  lifecycle = new DeploymentLifecycle(fixture.repository, events, fixture.log);
  changes = [];
  events.onStatus((change) => changes.push(change));
  lines = [];
  const note = (line: unknown): void => void lines.push(line);
  vi.spyOn(Logger.prototype, 'log').mockImplementation(note);
  vi.spyOn(Logger.prototype, 'warn').mockImplementation(note);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await fixture.dispose();
});

describe('a change of status', () => {
  const pairs = STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const));

  it.each(pairs)('from %s to %s is one row, one log line and one event, or nothing at all', (from, to) => {
    const before = fixture.rowIn(from);
    const { id } = before;
    const isLegal = (TRANSITIONS[from] as readonly Status[]).includes(to);
    const row = lifecycle.move(id, to, REASON, 1000);
    if (!isLegal) {
      expect(row).toBeUndefined();
      expect(fixture.get(id)).toEqual(before);
      expect([changes, lines, fixture.told()]).toEqual([[], [], []]);
      return;
    }
    expect(fixture.get(id)).toEqual(row);
    expect(row).toMatchObject({
      status: to,
      revision: before.revision + 1,
      reasonCode: 'requested',
      reasonMessage: 'Because.',
      reasonAt: 1000,
    });
    expect(changes).toEqual([{ deploymentId: id, from, to, code: 'requested' }]);
    expect(lines).toEqual([{ event: 'deployment_status', deploymentId: id, from, to, code: 'requested' }]);
    const at = '1970-01-01T00:00:01.000Z';
    expect(fixture.told()).toEqual([{ type: 'status', deploymentId: id, at, from, to, ...REASON }]);
  });

  it('is lost when the status is another than the one it was decided on', () => {
    const { id } = fixture.rowIn('running');
    const toStart = { from: ['paused', 'failed'] } as const;
    expect(lifecycle.move(id, 'starting', REASON, 1000, toStart)).toBeUndefined();
    expect(lifecycle.move(id, 'pausing', REASON, 1000)).toBeDefined();
    expect(lifecycle.move(id, 'pausing', REASON, 2000)).toBeUndefined();
    expect(fixture.get(id)).toMatchObject({ status: 'pausing', reasonAt: 1000 });
    expect([changes.length, lines.length, fixture.told().length]).toEqual([1, 1, 1]);
  });

  it('is none of a deployment that is not there', () => {
    expect(lifecycle.move('dp_none', 'deleting', REASON, 0)).toBeUndefined();
    lifecycle.finish('dp_none');
    expect([changes, lines, fixture.told()]).toEqual([[], [], []]);
  });

  it('is told before whoever hears of it changes it again', () => {
    const { id } = fixture.rowIn('paused');
    const events = new DeploymentEvents();
    const own = new DeploymentLifecycle(fixture.repository, events, fixture.log);
    events.onStatus(({ to }) => {
      if (to === 'starting') own.move(id, 'deleting', REASON, 0);
    });
    own.move(id, 'starting', REASON, 0);
    expect(fixture.told().map(({ to }) => to)).toEqual(['starting', 'deleting']);
  });
});

describe('the end of a deployment', () => {
  it('is a change of status like any other, once', () => {
    const { id } = fixture.rowIn('deleting');
    lifecycle.finish(id);
    lifecycle.finish(id);
    expect(fixture.repository.find(id)).toBeUndefined();
    expect(changes).toEqual([{ deploymentId: id, from: 'deleting', to: 'deleted', code: 'created' }]);
    expect(lines).toHaveLength(1);
    expect(fixture.told()).toEqual([
      expect.objectContaining({ type: 'status', deploymentId: id, from: 'deleting', to: 'deleted' }),
    ]);
  });

  it('does not come to what is not being deleted', () => {
    const { id } = fixture.rowIn('running');
    lifecycle.finish(id);
    expect(fixture.get(id).status).toBe('running');
    expect([changes, lines, fixture.told()]).toEqual([[], [], []]);
  });
});

describe('a crash', () => {
  const crash = { code: 'server_exited', message: 'Exit code 3. stderr: boom', waitMs: 2000 } as const;

  it('is one log line, one event, and words in the row of what runs; the status stays', () => {
    const { id, revision } = fixture.rowIn('running');
    const crashes: ServerCrash[] = [];
    events.onCrash((one) => crashes.push(one));
    lifecycle.noteCrash(id, { ...crash, crashes: 3 }, 1000);
    const row = fixture.get(id);
    expect(row).toMatchObject({ status: 'running', revision, reasonCode: 'server_exited', reasonAt: 1000 });
    expect(row.reasonMessage).toBe(
      'It ended by itself 3 times in a row; it is started again with the next request, not before 2 s. ' +
        'Exit code 3. stderr: boom',
    );
    expect(changes).toEqual([]);
    expect(crashes).toEqual([{ deploymentId: id, code: 'server_exited' }]);
    expect(lines).toEqual([
      { event: 'server_crashed', deploymentId: id, code: 'server_exited', crashes: 3, waitMs: 2000 },
    ]);
    expect(fixture.told()).toEqual([
      {
        type: 'crash',
        deploymentId: id,
        at: '1970-01-01T00:00:01.000Z',
        code: 'server_exited',
        message: 'Exit code 3. stderr: boom',
        failures: 3,
        retryInSeconds: 2,
      },
    ]);
  });

  it('does not change the words of what does not run', () => {
    const { id } = fixture.rowIn('starting');
    lifecycle.noteCrash(id, { ...crash, crashes: 1 }, 1000);
    expect(fixture.get(id).reasonMessage).toBe('Waiting.');
    expect(fixture.told()).toHaveLength(1);
  });
});

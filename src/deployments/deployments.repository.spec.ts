import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeploymentsFixture, newDeployment } from '../../test/support/deployments-fixture.js';
import { STATUSES, type Status, TRANSITIONS, subnetOf } from './deployment.js';
import type { DeploymentRow } from './deployment.table.js';
import type { NewDeployment } from './deployments.repository.js';

const TENANT = 'tn_default';
const CREATED = { code: 'created', message: 'Waiting.' } as const;

let fixture: DeploymentsFixture;

beforeEach(() => {
  fixture = new DeploymentsFixture({
    config: { sandboxUidFirst: 200_000, sandboxUidLast: 200_003, sandboxSubnetPool: '10.213.0.0/24' },
  });
});

afterEach(() => fixture.dispose());

function create(changes: Partial<NewDeployment> = {}, now = 1000, tenantId = TENANT): DeploymentRow {
  return fixture.repository.create(tenantId, newDeployment(changes), 'pending', CREATED, now);
}

function removeRow(id: string): void {
  fixture.repository.transition(id, 'deleting', CREATED, 0);
  expect(fixture.repository.remove(id)).toBe(true);
}

describe('numbers from the pools', () => {
  it('are the lowest free ones, and are free again with the row', () => {
    const rows = [create(), create(), create()];
    expect(rows.map((row) => row.uid)).toEqual([200_000, 200_001, 200_002]);
    expect(rows.map(subnetOf)).toEqual(['10.213.0.0/29', '10.213.0.8/29', '10.213.0.16/29']);
    removeRow(rows[1]?.id ?? '');
    expect(create()).toMatchObject({ uid: 200_001, subnetAddress: rows[1]?.subnetAddress });
    expect(create().uid).toBe(200_003);
  });

  it('are refused when there are none left, and nothing is written', () => {
    for (let count = 0; count < 4; count += 1) create();
    expect(() => create()).toThrow('No Linux user ids are left');
    expect(fixture.repository.list(TENANT, {}, undefined, 100)).toHaveLength(4);
    fixture.config.sandboxUidLast = 300_000;
    for (let count = 4; count < 32; count += 1) create();
    expect(() => create()).toThrow('No subnets are left');
  });
});

describe('a change of status', () => {
  const pairs = STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const));

  it.each(pairs)('from %s to %s happens only when the table allows it', (from, to) => {
    const { id, revision } = fixture.rowIn(from);
    const legal = (TRANSITIONS[from] as readonly Status[]).includes(to);
    const row = fixture.repository.transition(id, to, { code: 'ready', message: 'm' }, 5);
    expect(row?.status).toBe(legal ? to : undefined);
    expect(fixture.get(id)).toMatchObject(
      legal ? { status: to, revision: revision + 1, reasonAt: 5 } : { status: from, revision },
    );
  });

  it('restarts the idle clock when the deployment runs or failed', () => {
    const { id } = create({ deleteAfterSeconds: 60 }, 1000);
    expect(fixture.get(id).deleteAt).toBe(61_000);
    fixture.repository.transition(id, 'starting', CREATED, 20_000);
    expect(fixture.get(id).deleteAt).toBe(61_000);
    expect(fixture.repository.transition(id, 'running', CREATED, 50_000)).toMatchObject({
      lastActivityAt: 50_000,
      deleteAt: 110_000,
    });
  });

  it('does not let words be written for a status that has passed', () => {
    const { id } = fixture.rowIn('running');
    fixture.repository.annotate(id, 'starting', { code: 'in_progress', message: 'late' }, 9);
    expect(fixture.get(id).reasonMessage).toBe('Waiting.');
  });

  it('removes only what is being deleted', () => {
    expect(fixture.repository.remove(fixture.rowIn('running').id)).toBe(false);
  });
});

describe('lists', () => {
  it('are newest first, in pages without gap or repetition, also within a millisecond', () => {
    const ids = [create({}, 1), create({}, 2), create({}, 2), create({}, 3)].map((row) => row.id);
    const first = fixture.service.list(TENANT, {}, undefined, 2);
    const second = fixture.service.list(TENANT, {}, first.next, 2);
    expect([...first.rows, ...second.rows].map((row) => row.id)).toEqual(ids.toReversed());
    expect(second.next).toBeUndefined();
  });

  it('are filtered', () => {
    create({ name: 'a' });
    const b = create({ name: 'b', image: 'other' });
    fixture.repository.transition(b.id, 'failed', CREATED, 0);
    const names = (filter: Parameters<typeof fixture.repository.list>[1]): (string | null)[] =>
      fixture.repository.list(TENANT, filter, undefined, 10).map((row) => row.name);
    expect(names({ name: 'a' })).toEqual(['a']);
    expect(names({ image: 'other' })).toEqual(['b']);
    expect(names({ status: 'pending' })).toEqual(['a']);
    expect(names({ status: 'pending', image: 'other' })).toEqual([]);
  });

  it("do not show another tenant's deployments, and neither does anything else", () => {
    const { id } = create({}, 1, 'tn_other');
    expect(fixture.repository.list(TENANT, {}, undefined, 10)).toEqual([]);
    expect(fixture.repository.findForTenant(TENANT, id)).toBeUndefined();
    expect(fixture.repository.findForTenant('tn_other', id)?.id).toBe(id);
  });
});

import { afterEach, beforeEach, expect, it } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { DEFAULT_TENANT_ID as TENANT } from '../tenancy/principal.js';
import { DeploymentSessions } from './deployment-sessions.js';
import { SessionCensus } from './session-census.js';

let fixture: DeploymentsFixture;
let sessions: DeploymentSessions;
let ended: string[];

beforeEach(() => {
  fixture = new DeploymentsFixture();
  ended = [];
  const census = new SessionCensus();
  census.ask({
    count: () => ({ sessions: 1, callsInFlight: 0 }),
    list: () => [{ handle: 's_1', callsInFlight: 1, isConnected: true, hasProcess: false, lastUsedAt: 0 }],
    end: (id, handle) => Promise.resolve(handle === 's_1' && ended.push(id) > 0),
  });
  sessions = new DeploymentSessions(fixture.service, census);
});

afterEach(() => fixture.dispose());

it('the sessions of a deployment are listed, and ended by their handles', async () => {
  const { id } = fixture.rowIn('running');
  const lastUsedAt = '1970-01-01T00:00:00.000Z';
  const listed = { id: 's_1', callsInFlight: 1, isConnected: true, hasProcess: false, lastUsedAt };
  expect(sessions.list(TENANT, id)).toEqual({ items: [listed] });
  await sessions.end(TENANT, id, 's_1');
  expect(ended).toEqual([id]);
  await expect(sessions.end(TENANT, id, 's_2')).rejects.toMatchObject({ code: 'session_not_found' });
});

it('those of another tenant’s deployment do not exist', async () => {
  const { id } = fixture.rowIn('running');
  expect(() => sessions.list('tn_other', id)).toThrow(
    expect.objectContaining({ code: 'deployment_not_found' }),
  );
  await expect(sessions.end('tn_other', id, 's_1')).rejects.toMatchObject({ code: 'deployment_not_found' });
  expect(ended).toEqual([]);
});

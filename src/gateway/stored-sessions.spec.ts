import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture, newDeployment } from '../../test/support/deployments-fixture.js';
import { SessionDirectory } from '../mcp/sessions/session-directory.js';
import type { StoredSession } from '../mcp/sessions/session-store.js';
import { DEFAULT_TENANT_ID } from '../tenancy/principal.js';
import { SessionsRepository } from './sessions.repository.js';
import { StoredSessions } from './stored-sessions.js';

const DAY = 24 * 3_600_000;
const NOW = 1_800_000_000_000;

let fixture: DeploymentsFixture;
let repository: SessionsRepository;
let store: StoredSessions;
let deploymentId: string;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  repository = new SessionsRepository(fixture.database);
  store = new StoredSessions(repository, fixture.config);
  deploymentId = addDeployment();
});

afterEach(() => fixture.dispose());

function addDeployment(): string {
  return fixture.create({ autoStart: false }).id;
}

function session(changes: Partial<StoredSession> = {}): StoredSession {
  return {
    id: SessionDirectory.newId(),
    owner: { deploymentId, principal: 'key_1' },
    state: {
      initialize: '{"protocolVersion":"2025-11-25","x":1.0,"ü":"🚀"}',
      protocolVersion: '2025-11-25',
      logLevel: undefined,
      subscriptions: [],
    },
    ...changes,
  };
}

describe('a stored session', () => {
  it('comes back as it was last saved, in this store and the next', () => {
    const first = session();
    store.save(first, NOW);
    expect(store.find(first.id, NOW)).toEqual(first);
    const changed = session({
      id: first.id,
      state: { ...first.state, logLevel: '{"level":"debug"}', subscriptions: ['a:1', 'b:"\\'] },
    });
    store.save(changed, NOW + 1);
    expect(store.find(first.id, NOW + 1)).toEqual(changed);
    expect(new StoredSessions(repository, fixture.config).find(first.id, NOW + 1)).toEqual(changed);
    expect(store.find(SessionDirectory.newId(), NOW)).toBeUndefined();
  });

  it('has its id nowhere in the files of the data directory', () => {
    const one = session();
    store.save(one, NOW);
    store.touch(one.id, NOW + 1000);
    store.flush(NOW + 1000);
    const files = readdirSync(fixture.config.dataDir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => readFileSync(join(parentPath, name)));
    expect(files.some((file) => file.includes('"protocolVersion":"2025-11-25","x":1.0'))).toBe(true);
    expect(files.some((file) => file.includes(one.id))).toBe(false);
  });

  it('is gone for good when it is removed, whatever is said of it later', () => {
    const one = session();
    store.save(one, NOW);
    store.touch(one.id, NOW);
    store.remove(one.id);
    store.touch(one.id, NOW + 1);
    store.flush(NOW + 1);
    expect(store.find(one.id, NOW + 1)).toBeUndefined();
  });

  it('goes with its deployment, and no other does', async () => {
    const other = addDeployment();
    const [one, two] = [session(), session({ owner: { deploymentId: other, principal: 'key_1' } })];
    store.save(one, NOW);
    store.save(two, NOW);
    await fixture.service.delete(DEFAULT_TENANT_ID, deploymentId);
    expect(repository.find(one.id)).toBeUndefined();
    expect(store.find(two.id, NOW)).toEqual(two);
  });

  it('of a deployment that is gone cannot be saved', () => {
    const owner = { deploymentId: newDeployment().id, principal: 'key_1' };
    expect(() => store.save(session({ owner }), NOW)).toThrow(/FOREIGN KEY/);
  });

  it('is one of 2,000 of its deployment at most: those unused for longest go first', () => {
    const other = session({ owner: { deploymentId: addDeployment(), principal: 'key_1' } });
    store.save(other, NOW - DAY / 2);
    const all = Array.from({ length: 2002 }, () => session());
    fixture.database.relaxed.transaction(() => {
      for (const [n, one] of all.entries()) repository.save(one, NOW + n);
    });
    const isKept = all.map(({ id }) => repository.find(id) !== undefined);
    expect(isKept.slice(0, 3)).toEqual([false, false, true]);
    expect(isKept.filter(Boolean)).toHaveLength(2000);
    repository.recordUse([[all[2]?.id ?? '', NOW + 5000]]);
    repository.save(session(), NOW + 5001);
    expect(repository.find(all[2]?.id ?? '')).toBeDefined();
    expect(repository.find(all[3]?.id ?? '')).toBeUndefined();
    expect(repository.find(other.id)).toBeDefined();
  });
});

describe('the clock of a stored session', () => {
  it('goes on with each use, is written at a flush, and never goes back', () => {
    const one = session();
    store.save(one, NOW);
    store.touch(one.id, NOW + 5000);
    expect(repository.find(one.id)?.lastUsedAt).toBe(NOW);
    store.flush(NOW + 5000);
    expect(repository.find(one.id)?.lastUsedAt).toBe(NOW + 5000);
    store.touch(one.id, NOW + 1000);
    store.flush(NOW + 6000);
    expect(repository.find(one.id)).toMatchObject({ lastUsedAt: NOW + 5000, createdAt: NOW });
  });

  it('ends it after a day unused, and then its row', () => {
    const one = session();
    store.save(one, NOW);
    expect(store.find(one.id, NOW + DAY)).toBeDefined();
    expect(store.find(one.id, NOW + DAY + 1)).toBeUndefined();
    store.flush(NOW + DAY);
    expect(repository.find(one.id)).toBeDefined();
    store.flush(NOW + DAY + 1);
    expect(repository.find(one.id)).toBeUndefined();
  });

  it('counts uses that are not written yet', () => {
    const one = session();
    store.save(one, NOW);
    store.touch(one.id, NOW + DAY);
    expect(store.find(one.id, NOW + DAY + 1)).toBeDefined();
    store.flush(NOW + DAY + 1);
    expect(repository.find(one.id)?.lastUsedAt).toBe(NOW + DAY);
  });

  it('is kept when the database refuses a flush, and written by the next', () => {
    const one = session();
    store.save(one, NOW);
    store.touch(one.id, NOW + 5000);
    vi.spyOn(repository, 'recordUse').mockImplementationOnce(() => {
      throw new Error('disk full');
    });
    store.flush(NOW + 5000);
    expect(repository.find(one.id)?.lastUsedAt).toBe(NOW);
    store.flush(NOW + 6000);
    expect(repository.find(one.id)?.lastUsedAt).toBe(NOW + 5000);
  });

  it('is written when the service stops', () => {
    const one = session();
    store.onApplicationBootstrap();
    store.save(one, NOW);
    const at = Date.now();
    store.touch(one.id, Math.max(at, NOW + 1));
    store.beforeApplicationShutdown();
    expect(repository.find(one.id)?.lastUsedAt).toBe(Math.max(at, NOW + 1));
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { AppError } from '../errors/app-error.js';
import { OrphanCleaner } from './orphan-cleaner.js';

let fixture: DeploymentsFixture;
let cleaner: OrphanCleaner;
let work: AbortController;

beforeEach(() => {
  fixture = new DeploymentsFixture();
  cleaner = new OrphanCleaner(fixture.repository, fixture.runtime, fixture.logs);
  work = new AbortController();
});

afterEach(async () => {
  vi.useRealTimers();
  work.abort();
  await cleaner.finished;
  await fixture.dispose();
});

/** The engine has something of it. */
async function inEngine(deploymentId: string): Promise<void> {
  const { id } = await fixture.running();
  const sandbox = fixture.runtime.sandboxes.get(id);
  if (sandbox) fixture.runtime.sandboxes.set(deploymentId, { ...sandbox, deploymentId });
}

describe('the first try to remove what no row speaks of', () => {
  it('is waited for 30 s at most: one that hangs does not hold back every start', async () => {
    await inEngine('dp_orphan');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    fixture.runtime.next(
      'remove',
      () => new Promise((resolve) => work.signal.addEventListener('abort', () => resolve())),
    );
    let isOver = false;
    cleaner.clean(work.signal);
    const first = cleaner.firstTry.then(() => (isOver = true));
    await vi.advanceTimersByTimeAsync(29_999);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await first;
    expect(fixture.runtime.sandboxes.has('dp_orphan')).toBe(true);
  });

  it('removes them also where a paused one cannot be stopped, which is tried again', async () => {
    const paused = fixture.rowIn('paused');
    await inEngine(paused.id);
    await inEngine('dp_orphan');
    fixture.runtime.failNext('stop', new AppError('runtime_unavailable'));
    cleaner.clean(work.signal);
    await cleaner.firstTry;
    expect(fixture.runtime.calls).toContain(`stop ${paused.id}`);
    expect(fixture.runtime.sandboxes.has('dp_orphan')).toBe(false);
    expect(fixture.runtime.sandboxes.has(paused.id)).toBe(true);
    const soon = new Promise((resolve) => setImmediate(resolve, 'not yet'));
    expect(await Promise.race([cleaner.finished, soon])).toBe('not yet');
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { never, SandboxHost } from '../support/sandbox-host.js';

const WRITE = `require('fs').writeFileSync(process.env.HOME + '/kept', 'for later')`;
const READ = `console.log(require('fs').readFileSync(process.env.HOME + '/kept', 'utf8'))`;
const BOMB = 'const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))';

type Started = Awaited<ReturnType<SandboxHost['start']>>;

describe('the death of a sandbox', () => {
  let host: SandboxHost;

  beforeAll(async () => {
    host = await SandboxHost.create();
  });

  afterAll(async () => {
    await host.dispose();
  });

  /** Whether the runtime tells of this one's death when that is done to it. */
  async function dies({ deploymentId }: Started, how: () => Promise<unknown>): Promise<void> {
    let forget: (() => void) | undefined;
    const told = new Promise<void>((resolve) => {
      forget = host.runtime.onDeath((id) => {
        if (id === deploymentId) resolve();
      });
    });
    try {
      await how();
      await told;
    } finally {
      forget?.();
    }
  }

  it.each<[string, (started: Started) => Promise<unknown>, 'out_of_memory' | 'stopped' | undefined]>([
    ['it is killed', ({ containerId }) => host.docker('kill', containerId), 'stopped'],
    ['it is removed', ({ containerId }) => host.docker('rm', '--force', containerId), undefined],
    [
      'it is taken off its network',
      ({ networkName, containerId }) =>
        host.docker('network', 'disconnect', '--force', networkName, containerId),
      undefined,
    ],
    [
      'its network is removed, too',
      async ({ networkName, containerId }) => {
        await host.docker('network', 'disconnect', '--force', networkName, containerId);
        await host.docker('network', 'rm', networkName);
      },
      undefined,
    ],
    [
      'it takes more memory than it has',
      ({ deploymentId }) => host.spawn(deploymentId, ['node', '-e', BOMB]),
      'out_of_memory',
    ],
  ])('is told at once and healed by the next start when %s', async (_what, how, reason) => {
    const started = await host.start({ limits: { memoryMb: 128, cpus: 1, pids: 128, diskMb: 32 } });
    const { deploymentId, spec } = started;
    await host.script(deploymentId, WRITE);
    await dies(started, () => how(started));
    expect(await host.runtime.find(deploymentId, never)).toBeUndefined();
    expect(await host.runtime.explainStop(deploymentId, never)).toBe(reason);
    await host.runtime.start(spec, () => undefined, never);
    expect(await host.script(deploymentId, READ)).toBe('for later');
    await host.runtime.remove(spec, never);
  });

  it('is not told when it was wanted, nor to whom has stopped listening', async () => {
    const told: string[] = [];
    const forget = host.runtime.onDeath((id) => told.push(id));
    const [stopped, removed, replaced, killed] = await Promise.all([0, 1, 2, 3].map(() => host.start()));
    if (!stopped || !removed || !replaced || !killed) throw new Error('four were started');
    await host.runtime.stop(stopped.spec, never);
    await host.runtime.remove(removed.spec, never);
    await host.runtime.start(replaced.spec, () => undefined, never);
    // What happened before it in the engine is told before it.
    await dies(killed, () => host.killContainer(killed.containerId));
    expect(told).toEqual([killed.deploymentId]);
    forget();
    const last = await host.start();
    await dies(last, () => host.killContainer(last.containerId));
    expect(told).toEqual([killed.deploymentId]);
    expect(await host.runtime.find(replaced.deploymentId, never)).toBeDefined();
  });
});

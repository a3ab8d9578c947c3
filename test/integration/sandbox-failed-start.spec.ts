import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxSpec } from '../../src/containers/sandbox-runtime.js';
import { hostCommand, never, SandboxHost } from '../support/sandbox-host.js';
import { changeImage, importImage, removeImages } from '../support/sandbox-images.js';

const NOTHING_TO_RUN = 'mcp-runner-test/nothing-to-run:local';
const BROKEN = 'mcp-runner-test/home-is-a-file:local';
const EVIL_VOLUME = 'mcp-runner-test/evil-volume:local';

describe('a start that fails leaves nothing, whatever fails', () => {
  let host: SandboxHost;

  async function startFails(changes: Partial<SandboxSpec>, signal = never): Promise<unknown> {
    const spec = host.spec(changes);
    return host.runtime
      .start(spec, () => undefined, signal)
      .then(
        () => expect.fail('it started'),
        (error: unknown) => error,
      );
  }

  beforeAll(async () => {
    host = await SandboxHost.create();
    await importImage(NOTHING_TO_RUN, []);
    await importImage(BROKEN, ['home'], 'CMD ["x"]');
    await changeImage(EVIL_VOLUME, 'VOLUME /.mcp-runner');
  });

  afterEach(async () => {
    expect(await host.leftovers()).toEqual([]);
    expect(await host.runtime.list(never)).toEqual([]);
  });

  afterAll(async () => {
    await host.dispose();
    await removeImages(NOTHING_TO_RUN, BROKEN, EVIL_VOLUME);
  });

  it('the image is nowhere to be found', async () => {
    const before = Date.now();
    const error = await startFails({ image: 'registry.invalid/mcp-runner/no-such:1' });
    expect(error).toMatchObject({ code: expect.stringMatching(/^image_(not_found|pull_failed)$/) });
    expect((error as Error).message).toContain('registry.invalid');
    expect(Date.now() - before).toBeLessThan(30_000);
  });

  it.each([
    'Not An Image',
    '../containers/json',
    'a/../../info',
    'x?all=1',
    'x#y',
    '',
    'a//b',
    'ä',
    'Upper/Case',
  ])('the image reference is none: %s', async (image) => {
    expect(await startFails({ image })).toMatchObject({ code: 'image_not_found' });
  });

  it('the image has nothing to run', async () => {
    expect(await startFails({ image: NOTHING_TO_RUN })).toMatchObject({ code: 'image_invalid' });
  });

  it('the image wants to put a volume over our programs', async () => {
    expect(await startFails({ image: EVIL_VOLUME })).toMatchObject({ code: 'image_invalid' });
  });

  it('the runtime cannot start the container', async () => {
    const before = Date.now();
    expect(await startFails({ image: BROKEN })).toMatchObject({ code: 'sandbox_start_failed' });
    // The runtime's processes carry the id of a container that nobody can name any more; they are younger than this test.
    const started = Date.now() - before;
    const processes = (await hostCommand('ps', '-eo', 'etimes,args')).split('\n').map((line) => line.trim());
    const young = processes.filter(
      (line) => Number(line.split(' ')[0]) * 1000 < started && /runsc|containerd-shim/.test(line),
    );
    const known = (await hostCommand('docker', 'ps', '-aq', '--no-trunc'))
      .split('\n')
      .filter((id) => id !== '');
    expect(
      young.filter((line) => /[0-9a-f]{64}/.test(line) && !known.some((id) => line.includes(id))),
    ).toEqual([]);
  });

  it('the network of another deployment is in the way', async () => {
    const other = await host.start();
    expect(await startFails({ subnet: other.spec.subnet })).toMatchObject({ code: 'sandbox_start_failed' });
    expect(await host.runtime.find(other.deploymentId, never)).toMatchObject({
      containerId: other.containerId,
    });
    await host.runtime.remove(other.spec, never);
  });

  it('the account of another deployment is in the way, and stays', async () => {
    const other = await host.start();
    const { name, uid } = other.spec.user;
    const user = { name, uid: uid + 5000, gid: uid + 5000 };
    expect(await startFails({ user })).toMatchObject({ code: 'sandbox_start_failed' });
    expect(await hostCommand('getent', 'passwd', name)).toContain(`:${uid}:`);
    await host.runtime.remove(other.spec, never);
  });

  it('the disk of the host is too small', async () => {
    const limits = { memoryMb: 128, cpus: 1, pids: 64, diskMb: 1024 * 1024 * 1024 };
    expect(await startFails({ limits })).toMatchObject({ code: 'disk_full' });
  });

  it.each([0, 50, 200, 400, 700])('the caller gives up after %i ms', async (ms) => {
    const reason = new Error('no longer wanted');
    const control = new AbortController();
    const timer = setTimeout(() => control.abort(reason), ms);
    const spec = host.spec();
    try {
      const result = await host.runtime
        .start(spec, () => undefined, control.signal)
        .catch((error: unknown) => error);
      // A fast machine may be done before.
      if (result !== reason) expect(result).toMatchObject({ deploymentId: spec.deploymentId });
    } finally {
      clearTimeout(timer);
    }
    if (await host.runtime.find(spec.deploymentId, never)) await host.runtime.remove(spec, never);
  });
});

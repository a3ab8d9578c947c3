import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostCommand, never, SandboxHost } from '../support/sandbox-host.js';

const WRITE = `require('fs').writeFileSync(process.env.HOME + '/kept', 'for later')`;
const READ = `console.log(require('fs').readFileSync(process.env.HOME + '/kept', 'utf8'))`;

describe('stopping a sandbox', () => {
  let host: SandboxHost;

  beforeAll(async () => {
    host = await SandboxHost.create();
  });

  afterAll(async () => {
    await host.dispose();
  });

  it('leaves nothing in the engine but account and HOME, and the next start finds both', async () => {
    const { deploymentId, spec } = await host.start();
    await host.script(deploymentId, WRITE);
    await host.runtime.stop(spec, never);
    expect(await host.leftovers()).toEqual([
      ...['/etc/passwd', '/etc/group', '/etc/shadow'].map(() => expect.stringContaining(spec.user.name)),
      `${deploymentId}.img`,
    ]);
    expect(await host.runtime.list(never)).toEqual([{ deploymentId, inEngine: false }]);
    expect(await host.runtime.find(deploymentId, never)).toBeUndefined();
    expect(await host.runtime.explainStop(deploymentId, never)).toBeUndefined();

    const again = await host.runtime.start(spec, () => undefined, never);
    expect(await host.script(deploymentId, READ)).toBe('for later');
    expect(again).toMatchObject({ account: true });
    expect(await readFile('/etc/passwd', 'utf8')).toContain(`${spec.user.name}:x:${spec.user.uid}:`);
    expect(await host.runtime.list(never)).toEqual([{ deploymentId, inEngine: true }]);
    await host.runtime.remove(spec, never);
  });

  it('ends what runs in it, and again, or twice at once, finds nothing to do', async () => {
    const { deploymentId, spec, containerId } = await host.start();
    const process = await host.spawn(deploymentId, ['node', '-e', 'setInterval(() => {}, 1000)']);
    await Promise.all([host.runtime.stop(spec, never), host.runtime.stop(spec, never)]);
    await process.exited;
    await host.runtime.stop(spec, never);
    await expect(host.runtime.spawn(deploymentId, { env: {} }, never)).rejects.toMatchObject({
      code: 'sandbox_gone',
    });
    expect(await hostCommand('ps', '-eo', 'args')).not.toContain(containerId);
    await host.runtime.remove(spec, never);
    expect(await host.leftovers()).toEqual([]);
  });

  it('is fine where nothing ever ran', async () => {
    await host.runtime.stop(host.spec(), never);
    expect(await host.leftovers()).toEqual([]);
  });
});

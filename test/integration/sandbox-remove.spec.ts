import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kill } from 'node:process';
import { hostCommand, never, SandboxHost } from '../support/sandbox-host.js';
import { changeImage, removeImages } from '../support/sandbox-images.js';
import { hostProcesses } from '../support/sandbox-processes.js';

const DECLARES_MUCH = 'mcp-runner-test/declares-much:local';

function usedVolumes(): Promise<string> {
  return hostCommand('docker', 'volume', 'ls', '--quiet', '--filter', 'dangling=false');
}

describe('removing a sandbox', () => {
  let host: SandboxHost;

  beforeAll(async () => {
    host = await SandboxHost.create();
  });

  afterAll(async () => {
    await host.dispose();
  });

  it('leaves nothing of eight that were started at once and ran, and again finds nothing to do', async () => {
    const started = await Promise.all(Array.from({ length: 8 }, () => host.start()));
    const outputs = await Promise.all(started.map((s) => host.script(s.deploymentId, 'console.log("ran")')));
    expect(outputs).toEqual(started.map(() => 'ran'));
    const all = started.map(({ deploymentId }) => ({ deploymentId, inEngine: true }));
    expect(await host.runtime.list(never)).toHaveLength(all.length);
    expect(await host.runtime.list(never)).toEqual(expect.arrayContaining(all));
    expect(await host.leftovers()).not.toEqual([]);
    // Twice at the same time, too.
    await Promise.all([...started, ...started].map(({ spec }) => host.runtime.remove(spec, never)));
    expect(await host.leftovers()).toEqual([]);
    expect(await host.runtime.list(never)).toEqual([]);
    await Promise.all(started.map(({ spec }) => host.runtime.remove(spec, never)));
  });

  it('does not wait for the shim of a sandbox that has stopped working', { timeout: 60_000 }, async () => {
    const { containerId, spec } = await host.start();
    const shim = hostProcesses().find(
      (line) => line.includes('containerd-shim') && line.includes(containerId),
    );
    kill(Number(shim?.split(' ')[0]), 'SIGSTOP');
    await host.runtime.remove(spec, never);
    expect(await host.leftovers()).toEqual([]);
    expect(hostProcesses().filter((line) => line.includes(containerId))).toEqual([]);
  });

  it('needs nothing but the id to leave nothing', async () => {
    const { deploymentId } = await host.start();
    const user = { name: 'mcp-unknown', uid: -1, gid: -1 };
    await host.runtime.remove({ deploymentId, user, subnet: '' }, never);
    expect(await host.leftovers()).toEqual([]);
  });

  it('finds what an operator left half removed', async () => {
    const { containerId, deploymentId, spec } = await host.start();
    await hostCommand('docker', 'rm', '-f', containerId);
    expect(await host.runtime.list(never)).toEqual([{ deploymentId, inEngine: true }]);
    await host.runtime.remove(spec, never);
    expect(await host.leftovers()).toEqual([]);
  });

  it('leaves alone what has the name but not the label', async () => {
    const spec = host.spec();
    const name = `mcpr-${spec.deploymentId}`;
    await hostCommand('docker', 'create', '--name', name, 'mcp-runner/node-base:local');
    await hostCommand('docker', 'volume', 'create', name);
    try {
      await host.runtime.remove(spec, never);
      expect(await host.runtime.find(spec.deploymentId, never)).toBeUndefined();
      await expect(host.runtime.start(spec, () => undefined, never)).rejects.toMatchObject({
        code: 'sandbox_start_failed',
      });
      expect(await hostCommand('docker', 'inspect', '--format', '{{.Name}}', name)).toContain(name);
    } finally {
      await hostCommand('docker', 'rm', name);
      await hostCommand('docker', 'volume', 'rm', name);
    }
    expect(await host.leftovers()).toEqual([]);
  });

  it('leaves no volume of an image that declares some, and its labels, user and health check mean nothing', async () => {
    await changeImage(
      DECLARES_MUCH,
      'VOLUME /data',
      'USER root',
      'LABEL traefik.enable=true',
      'LABEL mcp-runner.deployment=another',
      'HEALTHCHECK CMD ["/bin/false"]',
    );
    try {
      const before = (await usedVolumes()).split('\n');
      const { containerId, deploymentId, spec } = await host.start({ image: DECLARES_MUCH });
      const format = '{{json .Config.Labels}}\t{{.Config.User}}\t{{json .Config.Healthcheck.Test}}';
      const [labels = '', user, health] = (
        await hostCommand('docker', 'inspect', '--format', format, containerId)
      )
        .trim()
        .split('\t');
      expect(JSON.parse(labels)).toMatchObject({
        'traefik.enable': '',
        'mcp-runner.deployment': deploymentId,
      });
      expect([user, health]).toEqual([`${spec.user.uid}:${spec.user.gid}`, '["NONE"]']);
      const write = `require('fs').writeFileSync('/data/f', 'x'); console.log(require('fs').statfsSync('/data').blocks * 4096 <= 256 << 20)`;
      expect(await host.script(deploymentId, write)).toBe('true');
      const added = (await usedVolumes()).split('\n').filter((name) => !before.includes(name));
      expect(added.filter((name) => !name.startsWith('mcpr-'))).toEqual([]);
      await host.runtime.remove(spec, never);
    } finally {
      await removeImages(DECLARES_MUCH);
    }
    expect(await host.leftovers()).toEqual([]);
  });
});

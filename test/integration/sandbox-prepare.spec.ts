import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Config } from '../../src/config/config.js';
import { DockerRuntime } from '../../src/containers/docker/docker-runtime.js';
import { hostCommand, never, SandboxHost } from '../support/sandbox-host.js';

const POOL = '10.215.0.0/16';

describe('preparing the host', () => {
  let dataDir: string;

  async function prepare(settings: Partial<Config>): Promise<DockerRuntime> {
    const config = Object.assign(new Config(), { dataDir, sandboxSubnetPool: POOL, ...settings });
    const runtime = new DockerRuntime(config);
    await runtime.prepare(never);
    return runtime;
  }

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'mcp-runner-test-'));
  });

  afterEach(async () => {
    await hostCommand('nft', 'delete', 'table', 'inet', 'mcp_runner_10_215_0_0_16').catch(() => undefined);
    await rm(dataDir, { recursive: true, force: true });
  });

  it('refuses a runtime that the engine does not know', async () => {
    await expect(prepare({ sandboxRuntime: 'nonesuch', allowUnsafeRuntime: true })).rejects.toMatchObject({
      code: 'runtime_unavailable',
      message: expect.stringContaining('nonesuch'),
    });
  });

  it('refuses a runtime other than gVisor unless that is allowed, and then says so in the checks', async () => {
    await expect(prepare({ sandboxRuntime: 'runc' })).rejects.toMatchObject({ code: 'runtime_unavailable' });
    const runtime = await prepare({ sandboxRuntime: 'runc', allowUnsafeRuntime: true });
    const checks = await runtime.check(never);
    expect(checks.find(({ name }) => name === 'runtime')?.message).toMatch(/^UNSAFE/);
    await runtime.onApplicationShutdown();
  });

  it('refuses when the engine does not answer, and the checks say it', async () => {
    const config = Object.assign(new Config(), { dataDir, dockerSocket: join(dataDir, 'no.sock') });
    const runtime = new DockerRuntime(config);
    await expect(runtime.prepare(never)).rejects.toMatchObject({ code: 'runtime_unavailable' });
    expect((await runtime.check(never)).map(({ ok }) => ok)).toEqual([false, false, false]);
  });

  it('refuses a pool in which another Docker network lies', async () => {
    await hostCommand('docker', 'network', 'create', '--subnet', '10.215.9.0/29', 'mcprtest-foreign');
    try {
      await expect(prepare({})).rejects.toThrow(/mcprtest-foreign/);
    } finally {
      await hostCommand('docker', 'network', 'rm', 'mcprtest-foreign');
    }
  });

  it('refuses a pool into which a route of the host leads', async () => {
    await hostCommand('ip', 'link', 'add', 'mcprtest-route', 'type', 'veth', 'peer', 'name', 'mcprtest-peer');
    try {
      await hostCommand('ip', 'address', 'add', '10.215.9.1/24', 'dev', 'mcprtest-route');
      await hostCommand('ip', 'link', 'set', 'mcprtest-route', 'up');
      await expect(prepare({})).rejects.toThrow(/10\.215\.9\.0 over mcprtest-route/);
    } finally {
      await hostCommand('ip', 'link', 'delete', 'mcprtest-route');
    }
  });

  it('makes what it needs with narrow modes, and again finds it as it was', async () => {
    await (await prepare({})).onApplicationShutdown();
    const modes = async (): Promise<Record<string, string>> => {
      const names = ['', 'bin', 'bin/busybox', 'bin/catatonit', 'homes', 'instance-id', 'resolv.conf'];
      const all = names.map(async (name) => [
        name,
        ((await stat(join(dataDir, name))).mode & 0o777).toString(8),
      ]);
      return Object.fromEntries((await Promise.all(all)) as [string, string][]);
    };
    const expected = {
      '': '711',
      bin: '711',
      'bin/busybox': '755',
      'bin/catatonit': '755',
      homes: '700',
      'instance-id': '600',
      'resolv.conf': '644',
    };
    expect(await modes()).toEqual(expected);
    const id = await readFile(join(dataDir, 'instance-id'), 'utf8');
    await writeFile(join(dataDir, 'bin/busybox'), 'tampered with');
    await chmod(join(dataDir, 'instance-id'), 0o644);
    await (await prepare({})).onApplicationShutdown();
    expect(await modes()).toEqual({ ...expected, 'instance-id': expect.anything() });
    expect(await readFile(join(dataDir, 'instance-id'), 'utf8')).toBe(id);
    expect((await readFile(join(dataDir, 'bin/busybox'))).equals(await readFile('/bin/busybox'))).toBe(true);
  });

  it('takes over the sandboxes of the control plane before', async () => {
    const host = await SandboxHost.create();
    try {
      const { deploymentId, containerId, spec } = await host.start();
      const next = new DockerRuntime(host.config);
      await next.prepare(never);
      expect(await next.find(deploymentId, never)).toMatchObject({ deploymentId, containerId });
      const process = await next.spawn(deploymentId, { args: ['node', '-e', '0'], env: {} }, never);
      await process.end();
      await next.remove(spec, never);
      await next.onApplicationShutdown();
      expect(await host.leftovers()).toEqual([]);
    } finally {
      await host.dispose();
    }
  });

  it('runs sandboxes under runc, too, where that is allowed', async () => {
    const host = await SandboxHost.create({ sandboxRuntime: 'runc', allowUnsafeRuntime: true });
    try {
      const { deploymentId, runtime } = await host.start();
      expect(runtime).toBe('runc');
      const code = `require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true }); process.on('SIGTERM', () => {}); console.log(process.getuid()); setInterval(() => {}, 1000)`;
      const process = await host.spawn(deploymentId, ['node', '-e', code]);
      await process.until(({ stdout }) => stdout !== '');
      await process.process.end(300);
      expect(await process.exited).toEqual({ code: 137 });
      const count = `console.log(require('fs').readdirSync('/proc').filter((n) => /^\\d+$/.test(n)).length)`;
      // The pause process, and the one that counts.
      expect(await host.script(deploymentId, count)).toBe('2');
    } finally {
      await host.dispose();
    }
  });
});

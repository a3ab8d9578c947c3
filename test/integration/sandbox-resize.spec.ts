import { afterEach, describe, expect, it } from 'vitest';
import { never, SandboxHost } from '../support/sandbox-host.js';

const MB = 1024 * 1024;
const SMALL = { memoryMb: 128, cpus: 1, pids: 32, diskMb: 32 };
const LARGE = { memoryMb: 384, cpus: 0.5, pids: 96, diskMb: 32 };
const HOLD = `global.kept = Buffer.alloc(220 << 20, 1); console.log('holds it')`;
const FORK = `const { spawn } = require('child_process'); let refused = 0;
  const all = Array.from({ length: 48 }, () => spawn('/.mcp-runner/busybox', ['sleep', '60']));
  for (const child of all) child.on('error', () => { refused += 1; });
  setTimeout(() => { for (const child of all) child.kill('SIGKILL'); console.log(refused === 0 ? 'all run' : 'refused'); }, 500)`;

interface Limits {
  Memory: number;
  MemorySwap: number;
  NanoCpus: number;
  PidsLimit: number;
}

describe('changing the limits of a running sandbox', () => {
  let host: SandboxHost | undefined;

  async function limitsOf(containerId: string): Promise<Limits | undefined> {
    const text = await host?.docker('inspect', '--format', '{{json .HostConfig}}', containerId);
    return text === undefined ? undefined : (JSON.parse(text) as Limits);
  }

  afterEach(async () => {
    await host?.dispose();
  });

  it('is refused under gVisor and changes nothing; the next start takes them', async () => {
    host = await SandboxHost.create();
    const { deploymentId, containerId, spec } = await host.start({ limits: SMALL });
    const before = await limitsOf(containerId);
    expect(before).toMatchObject({ Memory: 128 * MB, MemorySwap: 128 * MB, NanoCpus: 1e9 });
    await expect(host.runtime.resize(deploymentId, LARGE, never)).rejects.toMatchObject({
      code: 'resize_refused',
      message:
        'The runtime runsc cannot change the limits of a running sandbox. They take effect at its next start.',
    });
    expect(await limitsOf(containerId)).toEqual(before);
    expect(await host.script(deploymentId, `console.log('well')`)).toBe('well');

    await host.runtime.start({ ...spec, limits: LARGE }, () => undefined, never);
    expect(await host.script(deploymentId, HOLD)).toBe('holds it');
  });

  it('takes effect at once where the runtime can do it, in both directions', async () => {
    host = await SandboxHost.create({ sandboxRuntime: 'runc', allowUnsafeRuntime: true });
    const { deploymentId, containerId } = await host.start({ limits: SMALL });
    expect(await host.script(deploymentId, FORK)).toBe('refused');
    await host.runtime.resize(deploymentId, LARGE, never);
    expect(await limitsOf(containerId)).toMatchObject({ Memory: 384 * MB, NanoCpus: 5e8, PidsLimit: 96 });
    expect(await host.script(deploymentId, HOLD)).toBe('holds it');
    expect(await host.script(deploymentId, FORK)).toBe('all run');
    await host.runtime.resize(deploymentId, SMALL, never);
    expect(await host.script(deploymentId, FORK)).toBe('refused');
  });

  it('says so when there is no sandbox', async () => {
    host = await SandboxHost.create();
    await expect(host.runtime.resize('dp_unknown', LARGE, never)).rejects.toMatchObject({
      code: 'sandbox_gone',
    });
  });
});

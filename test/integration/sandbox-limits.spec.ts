import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { never, SandboxHost } from '../support/sandbox-host.js';

const BOUND_MS = 150_000;

/** Rejects when `work` takes longer than a caller would accept. */
async function bounded<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('took too long')), BOUND_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

describe('a sandbox at its limits', () => {
  let host: SandboxHost;

  beforeAll(async () => {
    host = await SandboxHost.create();
  });

  afterEach(async () => {
    // Whatever one sandbox does, the next one starts.
    const next = await host.start();
    expect(await host.script(next.deploymentId, 'console.log("well")')).toBe('well');
    await host.runtime.remove(next.spec, never);
  });

  afterAll(async () => {
    await host.dispose();
  });

  it('is ended with the reason when it takes more memory than it has, and nobody waits for it for ever', async () => {
    const { deploymentId } = await host.start({ limits: { memoryMb: 128, cpus: 1, pids: 128, diskMb: 32 } });
    const quiet = await host.spawn(deploymentId, [
      'node',
      '-e',
      'console.log("up"); setInterval(() => {}, 1000)',
    ]);
    await quiet.until(({ stdout }) => stdout !== '');
    const bomb = await host.spawn(deploymentId, [
      'node',
      '-e',
      'const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))',
    ]);
    await bounded(Promise.all([bomb.exited, quiet.exited]));
    expect([bomb.exits, quiet.exits]).toEqual([1, 1]);
    await bounded(Promise.all([bomb.process.end(100), quiet.process.end(100)]));
    expect(await host.runtime.find(deploymentId, never)).toBeUndefined();
    expect(await host.runtime.explainStop(deploymentId, never)).toBe('out_of_memory');
  });

  it('counts its temporary folders as memory', async () => {
    const { deploymentId } = await host.start({ limits: { memoryMb: 128, cpus: 1, pids: 128, diskMb: 512 } });
    const fill = `const fs = require('fs'); const fd = fs.openSync('/tmp/f', 'w'); const mb = Buffer.alloc(1 << 20, 1); let n = 0;
      try { for (;;) { fs.writeSync(fd, mb); n += 1; } } catch (e) { console.log(e.code, n); }`;
    expect(await bounded(host.script(deploymentId, fill))).toBe('ENOSPC 64');
  });

  it('does not take the host down with a fork bomb', { timeout: 400_000 }, async () => {
    const { deploymentId, spec } = await host.start({
      limits: { memoryMb: 256, cpus: 1, pids: 64, diskMb: 32 },
    });
    const code = `const { spawn } = require('child_process');
      const fork = () => { for (let i = 0; i < 4; i++) spawn(process.execPath, ['-e', process.env.BOMB], { stdio: 'ignore', env: process.env }).on('error', () => {}); };
      fork(); setInterval(fork, 100);`;
    const bomb = await host.spawn(deploymentId, ['node', '-e', code], { BOMB: code });
    await new Promise((resolve) => setTimeout(resolve, 5000));
    await bounded(bomb.process.end(500));
    await bounded(bomb.exited);
    expect(bomb.exits).toBe(1);
    await bounded(host.runtime.remove(spec, never));
  });
});

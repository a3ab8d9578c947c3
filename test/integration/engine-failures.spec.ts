import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RuntimeCheck } from '../../src/containers/sandbox-runtime.js';
import { PrivateEngine } from '../support/private-engine.js';
import { never, NODE_IMAGE, SandboxHost } from '../support/sandbox-host.js';

const POLL_MS = 20;
/** Nobody waits longer for an engine that is known to be away. */
const AT_ONCE_MS = 1000;
const WRITE = `require('fs').writeFileSync(process.env.HOME + '/kept', 'for later')`;
const READ = `console.log(require('fs').readFileSync(process.env.HOME + '/kept', 'utf8'))`;
const ECHO = ['node', '-e', 'process.stdin.pipe(process.stdout)'];
const STUBBORN = `process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)`;
/** The pause process, and the one that counts. */
const PROCESSES = `console.log(require('fs').readdirSync('/proc').filter((n) => /^\\d+$/.test(n)).length)`;

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await delay(POLL_MS);
}

type Started = Awaited<ReturnType<SandboxHost['start']>>;

describe('a failure of the engine', () => {
  let engine: PrivateEngine;
  let host: SandboxHost;
  let started: Started;
  let returns: number;
  let forget: () => void;

  beforeAll(async () => {
    engine = await PrivateEngine.create();
    host = await SandboxHost.create({ dockerSocket: engine.socket, sandboxSubnetPool: '10.216.0.0/16' });
    await engine.load(NODE_IMAGE);
  });

  beforeEach(async () => {
    started = await host.start();
    await host.script(started.deploymentId, WRITE);
    returns = 0;
    forget = host.runtime.onReturn(() => (returns += 1));
  });

  // Whatever happened, the same runtime cleans up.
  afterEach(async () => {
    forget();
    engine.thaw();
    await engine.start();
    await engineCheck();
    await host.runtime.remove(started.spec, never);
    expect(await host.leftovers()).toEqual([]);
  });

  afterAll(async () => {
    try {
      await host.dispose();
    } finally {
      await engine.dispose();
    }
  });

  async function engineCheck(): Promise<RuntimeCheck | undefined> {
    return (await host.runtime.check(never)).find(({ name }) => name === 'engine');
  }

  /** Until calls are refused because the engine is known to be away. */
  async function untilRefused(): Promise<void> {
    await until(() =>
      host.runtime.find(started.deploymentId, AbortSignal.timeout(1000)).then(
        () => false,
        (error: unknown) => /There has been no answer since/.test((error as Error).message),
      ),
    );
  }

  async function expectRefusals(): Promise<void> {
    const before = Date.now();
    const { deploymentId, spec } = started;
    const calls = [
      host.runtime.find(deploymentId, never),
      host.runtime.spawn(deploymentId, { env: {} }, never),
      host.runtime.start(spec, () => undefined, never),
      host.runtime.stop(spec, never),
      host.runtime.remove(spec, never),
      host.runtime.list(never),
    ];
    for (const result of await Promise.allSettled(calls)) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'runtime_unavailable', retryAfterSeconds: expect.any(Number) },
      });
    }
    expect(Date.now() - before).toBeLessThan(AT_ONCE_MS);
  }

  async function expectDeathsToBeTold(): Promise<void> {
    const { deploymentId } = started;
    const told: string[] = [];
    const stop = host.runtime.onDeath((id) => told.push(id));
    const { containerId } = (await host.runtime.find(deploymentId, never)) ?? started;
    await host.killContainer(containerId);
    await until(() => told.length > 0);
    stop();
    expect(told).toEqual([deploymentId]);
  }

  it.each([
    ['stopped', () => engine.stop()],
    ['killed', () => engine.kill()],
  ])('is seen, said and outlived: it is %s for a while', async (_what, end) => {
    const { deploymentId, spec, containerId } = started;
    const process = await host.spawn(deploymentId, ECHO);
    await end();
    await untilRefused();
    await expectRefusals();
    expect(await engineCheck()).toMatchObject({
      ok: false,
      message: expect.stringMatching(/cannot be reached.*no answer since 20\d\d-.*Z/),
    });
    expect(returns).toBe(0);
    // What talked to a process has lost it.
    await process.exited;

    await engine.start();
    // Who asks for health gets the truth of now, however long the pause between two probes is.
    expect(await engineCheck()).toMatchObject({ ok: true });
    await until(() => returns > 0);
    expect(await host.runtime.find(deploymentId, never)).toBeUndefined();
    expect(await host.runtime.explainStop(deploymentId, never)).toBe('stopped');
    expect(await host.runtime.list(never)).toEqual([{ deploymentId, inEngine: true }]);
    const again = await host.runtime.start(spec, () => undefined, never);
    expect(again.containerId).not.toBe(containerId);
    expect(await host.script(deploymentId, READ)).toBe('for later');
    await expectDeathsToBeTold();
    expect(returns).toBe(1);
  });

  it('is noticed when nobody asks: it was restarted', async () => {
    await engine.stop();
    await engine.start();
    await until(() => returns > 0);
    expect(await host.runtime.find(started.deploymentId, never)).toBeUndefined();
    await host.runtime.start(started.spec, () => undefined, never);
    await expectDeathsToBeTold();
  });

  it('is seen, said and outlived: it hangs for a while, and what runs goes on', async () => {
    const { deploymentId, containerId } = started;
    const process = await host.spawn(deploymentId, ECHO);
    await process.feed(Buffer.from('before '));
    await process.until(({ stdout }) => stdout === 'before ');
    engine.freeze();
    try {
      // Under way when it is found out; answered in the end.
      const early = host.runtime.find(deploymentId, never);
      await untilRefused();
      await expectRefusals();
      expect(await engineCheck()).toMatchObject({
        ok: false,
        message: expect.stringMatching(/does not answer.*no answer since 20\d\d-.*Z/),
      });
      engine.thaw();
      expect(await early).toMatchObject({ containerId });
    } finally {
      engine.thaw();
    }
    await until(() => returns > 0);
    expect(await host.runtime.find(deploymentId, never)).toMatchObject({ containerId });
    await process.feed(Buffer.from('after'));
    await process.until(({ stdout }) => stdout === 'before after');
    await process.process.end();
    expect(await host.script(deploymentId, READ)).toBe('for later');
    await expectDeathsToBeTold();
    expect(returns).toBe(1);
  });

  it('does not cost a sandbox of which a process is ended meanwhile, and that one is ended afterwards', async () => {
    const { deploymentId, containerId } = started;
    const stubborn = await host.spawn(deploymentId, ['node', '-e', STUBBORN]);
    await stubborn.until(({ stdout }) => stdout === 'up\n');
    engine.freeze();
    try {
      await stubborn.process.end(100);
      expect(stubborn.exits).toBe(1);
    } finally {
      engine.thaw();
    }
    await until(() => returns > 0);
    expect(await host.runtime.find(deploymentId, never)).toMatchObject({ containerId });
    await until(async () => (await host.script(deploymentId, PROCESSES)) === '2');
  });

  it('is no verdict on a sandbox that was being started', async () => {
    const { deploymentId, spec } = started;
    let killed: Promise<void> | undefined;
    const kill = (): void => void (killed ??= engine.kill());
    const start = host.runtime.start(spec, kill, never);
    await expect(start).rejects.toMatchObject({ code: 'runtime_unavailable' });
    await killed;
    await engine.start();
    await until(() => returns > 0);
    await host.runtime.start(spec, () => undefined, never);
    expect(await host.script(deploymentId, READ)).toBe('for later');
  });

  it('is called disk_full when its disk is, and is over when there is space again', async () => {
    const { deploymentId, spec } = started;
    const ballast = join(engine.dataRoot, 'ballast');
    await host.runtime.stop(spec, never);
    try {
      const chunk = Buffer.alloc(1 << 20);
      const fill = async (): Promise<never> => {
        for (;;) await writeFile(ballast, chunk, { flag: 'a' });
      };
      await expect(fill()).rejects.toMatchObject({ code: 'ENOSPC' });
      await expect(host.runtime.start(spec, () => undefined, never)).rejects.toMatchObject({
        code: 'disk_full',
        message: expect.stringMatching(/^The disk of the host is full\. Free space/),
      });
      expect(await engineCheck()).toMatchObject({ ok: true });
    } finally {
      await rm(ballast, { force: true });
    }
    await host.runtime.start(spec, () => undefined, never);
    expect(await host.script(deploymentId, READ)).toBe('for later');
  });
});

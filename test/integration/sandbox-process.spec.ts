import { createHash, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../src/containers/sandbox-runtime.js';
import { never, SandboxHost } from '../support/sandbox-host.js';

const BUSYBOX = '/.mcp-runner/busybox';
const IDLE = 'console.log("up"); setInterval(() => {}, 1000)';
const CAT = 'process.stdin.pipe(process.stdout)';
const MB = 1024 * 1024;

describe('processes in a sandbox', () => {
  let host: SandboxHost;
  let sandbox: Sandbox;
  let id: string;
  const rejections: unknown[] = [];
  const onRejection = (error: unknown): number => rejections.push(error);

  /** The commands that run inside, but for the pause process and the one that looks. */
  async function running(): Promise<string[]> {
    const ps = await host.spawn(id, [BUSYBOX, 'ps', '-o', 'pid,args']);
    await ps.exited;
    const lines = ps.stdout.split('\n').slice(1);
    return lines.filter((line) => !/^\s*1 |busybox ps|^\s*$/.test(line)).map((line) => line.trim());
  }

  beforeAll(async () => {
    process.on('unhandledRejection', onRejection);
    host = await SandboxHost.create();
    sandbox = await host.start({ limits: { memoryMb: 512, cpus: 2, pids: 256, diskMb: 64 } });
    id = sandbox.deploymentId;
  });

  afterEach(async () => {
    expect(await running()).toEqual([]);
  });

  afterAll(async () => {
    await host.dispose();
    process.off('unhandledRejection', onRejection);
    expect(rejections).toEqual([]);
  });

  it.each([33 * 1024, MB, 8 * MB])('carries %i bytes through stdin and stdout whole', async (size) => {
    const data = randomBytes(size);
    const cat = await host.spawn(id, ['node', '-e', CAT]);
    await cat.feed(data);
    await cat.until((run) => run.bytes.length >= size);
    expect(createHash('sha256').update(cat.bytes).digest('hex')).toBe(
      createHash('sha256').update(data).digest('hex'),
    );
    await cat.process.end();
    expect(cat.stderr).toBe('');
  });

  it('keeps two processes apart: each has its own stdout, and one ends without the other', async () => {
    const [one, two] = await Promise.all([
      host.spawn(id, ['node', '-e', CAT]),
      host.spawn(id, ['node', '-e', CAT]),
    ]);
    one.process.write('for one\n');
    two.process.write('for two\n');
    await Promise.all([one.until((run) => run.stdout !== ''), two.until((run) => run.stdout !== '')]);
    await one.process.end();
    two.process.write('still here\n');
    await two.until((run) => run.stdout.includes('here'));
    expect([one.stdout, two.stdout]).toEqual(['for one\n', 'for two\nstill here\n']);
    await two.process.end();
  });

  it('keeps stderr apart from stdout and shows nothing of the launcher', async () => {
    const both = await host.spawn(id, [
      'node',
      '-e',
      'console.log("out"); console.error("err"); process.exitCode = 7',
    ]);
    expect(await both.exited).toEqual({ code: 7 });
    expect([both.stdout, both.stderr]).toEqual(['out\n', 'err\n']);
  });

  it('ends a process that goes when its stdin ends, without a signal', async () => {
    const polite = await host.spawn(id, [
      'node',
      '-e',
      'process.on("SIGTERM", () => console.log("signal")); process.stdin.on("end", () => { console.log("eof"); process.exit(5) }).resume(); console.log("up")',
    ]);
    await polite.until((run) => run.stdout !== '');
    await polite.process.end();
    expect(await polite.exited).toEqual({ code: 5 });
    expect(polite.stdout).toBe('up\neof\n');
  });

  it('ends a process that ignores the end of stdin by SIGTERM', async () => {
    const idle = await host.spawn(id, ['node', '-e', IDLE]);
    await idle.until((run) => run.stdout !== '');
    await idle.process.end(500);
    expect(await idle.exited).toEqual({ code: 128 + 15 });
    expect(idle.exits).toBe(1);
  });

  it('ends a process that ignores SIGTERM, with its children, also those that left its group, within the deadline', async () => {
    const stubborn = await host.spawn(id, [
      'node',
      '-e',
      `const { spawn } = require('child_process');
       process.on('SIGTERM', () => {});
       for (const detached of [false, true]) spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], { detached, stdio: 'ignore' });
       setInterval(() => {}, 1000);
       setTimeout(() => console.log('up'), 500);`,
    ]);
    await stubborn.until((run) => run.stdout !== '');
    expect((await running()).length).toBe(3);
    const before = Date.now();
    await stubborn.process.end(1000);
    expect(Date.now() - before).toBeLessThan(5000);
    expect(await stubborn.exited).toEqual({ code: 128 + 9 });
    expect(stubborn.exits).toBe(1);
  });

  it('ends the children that a process leaves behind when it goes by itself', async () => {
    const parent = await host.spawn(id, [
      'node',
      '-e',
      `require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' }).unref();`,
    ]);
    expect(await parent.exited).toEqual({ code: 0 });
    expect((await running()).length).toBe(1);
    await parent.process.end();
  });

  it('ends a process that floods a reader who is not reading', async () => {
    const flood = await host.runtime.spawn(
      id,
      { args: ['node', '-e', 'setInterval(() => console.log("x".repeat(1e6)))'], env: {} },
      never,
    );
    let bytes = 0;
    const exited = new Promise((resolve) => {
      flood.attach({
        stdout: (chunk) => {
          bytes += chunk.length;
          flood.pause();
        },
        stderr: () => undefined,
        drain: () => undefined,
        exit: resolve,
      });
    });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(bytes).toBeLessThan(MB);
    await flood.end(300);
    await exited;
  });

  it('holds output and exit until somebody attaches', async () => {
    const early = await host.runtime.spawn(
      id,
      { args: ['node', '-e', 'console.log("early"); console.error("words")'], env: {} },
      never,
    );
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      early.attach({
        stdout: (chunk) => seen.push(`out ${chunk.toString()}`),
        stderr: (chunk) => seen.push(`err ${chunk.toString()}`),
        drain: () => undefined,
        exit: ({ code }) => {
          seen.push(`exit ${code}`);
          resolve();
        },
      });
    });
    expect(seen.at(-1)).toBe('exit 0');
    expect(seen.slice(0, 2).sort()).toEqual(['err words\n', 'out early\n']);
  });

  it('can be ended though nobody attached', async () => {
    const idle = await host.runtime.spawn(id, { args: ['node', '-e', IDLE], env: {} }, never);
    await idle.end(300);
  });

  it('says of a command that is not there, or is none, that it ended with 127 or 126, and why', async () => {
    const missing = await host.spawn(id, ['no-such-program']);
    expect(await missing.exited).toEqual({ code: 127 });
    expect(missing.stderr).toContain('no-such-program');
    const folder = await host.spawn(id, ['/app']);
    expect(await folder.exited).toEqual({ code: 126 });
    expect(folder.stderr).toContain('/app');
    expect([missing.exits, folder.exits]).toEqual([1, 1]);
  });

  it('runs the programs of the image, never those of the launcher', async () => {
    // The image has neither; busybox has both.
    for (const name of ['env', 'sh', 'ls'])
      expect(await (await host.spawn(id, [name])).exited).toEqual({ code: 127 });
    const write = `require('fs').writeFileSync(process.env.HOME + '/env', '#!/usr/local/bin/node\\nconsole.log("mine", process.argv[2])', { mode: 0o755 })`;
    await host.script(id, write);
    const mine = await host.spawn(id, ['env', 'x'], { PATH: '/nowhere:/home/mcp:/usr/local/bin' });
    await mine.exited;
    expect(mine.stdout).toBe('mine x\n');
  });

  it('gives each process its own environment, whatever the values hold', async () => {
    const env = { A: `it's "quoted" $HOME \n two lines`, EMPTY: '', UNICODE: 'grün €' };
    const seen = await host.spawn(
      id,
      ['node', '-p', 'JSON.stringify([process.env.A, process.env.EMPTY, process.env.UNICODE])'],
      env,
    );
    await seen.exited;
    expect(JSON.parse(seen.stdout)).toEqual(Object.values(env));
  });

  it('takes writes after the exit in silence', async () => {
    const gone = await host.spawn(id, ['node', '-e', '0']);
    await gone.exited;
    expect(gone.process.write('anybody?\n')).toBe(true);
    await gone.process.end();
    await gone.process.end();
    expect(gone.exits).toBe(1);
  });

  it('loses all strays, and nothing but them, to killStrays', async () => {
    const strays = await Promise.all([1, 2, 3].map(() => host.spawn(id, ['node', '-e', IDLE])));
    await Promise.all(strays.map((stray) => stray.until((run) => run.stdout !== '')));
    await host.runtime.killStrays(id, never);
    expect(await Promise.all(strays.map((stray) => stray.exited))).toEqual(strays.map(() => ({ code: 137 })));
    expect(await host.runtime.find(id, never)).toMatchObject({ containerId: sandbox.containerId });
  });

  it('does not start when the caller has given up', async () => {
    await expect(host.runtime.spawn(id, { args: ['node'], env: {} }, AbortSignal.abort())).rejects.toThrow();
  });
});

describe('processes of a sandbox that goes away', () => {
  it('exit once each when the container is killed, and later ones are refused with sandbox_gone', async () => {
    const host = await SandboxHost.create();
    try {
      const { deploymentId, containerId, spec } = await host.start();
      const idle = await Promise.all([1, 2].map(() => host.spawn(deploymentId, ['node', '-e', IDLE])));
      await Promise.all(idle.map((run) => run.until(({ stdout }) => stdout !== '')));
      await host.killContainer(containerId);
      await Promise.all(idle.map(({ exited }) => exited));
      await Promise.all(idle.map(({ process }) => process.end(300)));
      expect(idle.map(({ exits }) => exits)).toEqual([1, 1]);
      await expect(host.spawn(deploymentId, ['node'])).rejects.toMatchObject({ code: 'sandbox_gone' });
      expect(await host.runtime.find(deploymentId, never)).toBeUndefined();
      expect(await host.runtime.explainStop(deploymentId, never)).toBe('stopped');
      await host.runtime.remove(spec, never);
      await expect(host.spawn(deploymentId, ['node'])).rejects.toMatchObject({ code: 'sandbox_gone' });
      expect(await host.leftovers()).toEqual([]);
    } finally {
      await host.dispose();
    }
  });
});

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { never, SandboxHost } from '../support/sandbox-host.js';

const FILL = `const fs = require('fs'); const fd = fs.openSync(process.env.HOME + '/big', 'w'); const mb = Buffer.alloc(1 << 20, 1);
  let n = 0; try { for (;;) { fs.writeSync(fd, mb); n += 1; } } catch (e) { console.log(e.code, n); }`;

describe('the HOME of a sandbox', () => {
  let host: SandboxHost;

  beforeAll(async () => {
    host = await SandboxHost.create();
  });

  afterAll(async () => {
    await host.dispose();
  });

  it('ends at the disk limit with ENOSPC, and goes on when something is deleted', async () => {
    const { deploymentId } = await host.start({ limits: { memoryMb: 256, cpus: 1, pids: 128, diskMb: 32 } });
    const [code, written] = (await host.script(deploymentId, FILL)).split(' ');
    expect(code).toBe('ENOSPC');
    expect(Number(written)).toBeGreaterThan(24);
    expect(Number(written)).toBeLessThanOrEqual(32);
    const again = `const fs = require('fs'); fs.rmSync(process.env.HOME + '/big'); fs.writeFileSync(process.env.HOME + '/small', 'x'); console.log('ok')`;
    expect(await host.script(deploymentId, again)).toBe('ok');
  });

  it('takes from the host only what is in it', async () => {
    const { deploymentId } = await host.start({
      limits: { memoryMb: 256, cpus: 1, pids: 128, diskMb: 1024 },
    });
    const { size, blocks } = await stat(join(host.config.dataDir, 'homes', `${deploymentId}.img`));
    expect(size).toBe(1024 * 1024 * 1024);
    expect(blocks * 512).toBeLessThan(2 * 1024 * 1024);
  });

  it('keeps its content when the sandbox is started again, however it ended', async () => {
    const { deploymentId, spec, containerId } = await host.start();
    await host.script(deploymentId, `require('fs').writeFileSync(process.env.HOME + '/kept', 'for later')`);
    const read = `console.log(require('fs').readFileSync(process.env.HOME + '/kept', 'utf8'))`;
    await host.runtime.start(spec, () => undefined, never);
    expect(await host.script(deploymentId, read)).toBe('for later');
    const { containerId: second } = (await host.runtime.find(deploymentId, never)) ?? { containerId };
    expect(second).not.toBe(containerId);
    await host.killContainer(second);
    await host.runtime.start(spec, () => undefined, never);
    expect(await host.script(deploymentId, read)).toBe('for later');
    // What does not start does not cost what was there before.
    await expect(
      host.runtime.start({ ...spec, image: 'mcp-runner/no-such:local' }, () => undefined, never),
    ).rejects.toThrow();
    await host.runtime.start(spec, () => undefined, never);
    expect(await host.script(deploymentId, read)).toBe('for later');
  });

  it('is empty in the next deployment of the same user and network', async () => {
    const { spec } = await host.start();
    await host.script(spec.deploymentId, `require('fs').writeFileSync(process.env.HOME + '/secret', 'x')`);
    await host.runtime.remove(spec, never);
    const { deploymentId } = await host.start({ user: spec.user, subnet: spec.subnet });
    expect(
      await host.script(deploymentId, `console.log(require('fs').readdirSync(process.env.HOME).length)`),
    ).toBe('0');
  });

  it('lets programs be installed and run there', async () => {
    const { deploymentId } = await host.start();
    const code = `const fs = require('fs'); const file = process.env.HOME + '/tool';
      fs.writeFileSync(file, '#!/usr/local/bin/node\\nconsole.log("runs")', { mode: 0o755 });
      console.log(require('child_process').execFileSync(file).toString())`;
    expect(await host.script(deploymentId, code)).toBe('runs');
  });
});

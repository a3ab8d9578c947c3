import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CrashGround, eventually } from '../support/crash-ground.js';

const run = promisify(execFile);
const NAME = 'mcp-runner-stray';

let ground: CrashGround;
beforeAll(async () => {
  ground = await CrashGround.create();
});
afterAll(() => ground.service.stop());

describe('what the crash matrix is judged by', () => {
  it('finds what is missing, and whatever no row speaks of', async () => {
    const { service, inventory } = ground;
    const { id, containerId } = await ground.deploy('');
    await ground.matches(1);
    const label = ['--label', `mcp-runner.instance=${inventory.instance}`];
    const subnet = service.subnetPool.replace(/\d+\/\d+$/, '240/29');
    const [uid, lastUid] = service.uids;
    const file = join(service.dataDir, 'homes', NAME);
    try {
      await run('docker', ['network', 'create', ...label, '--subnet', subnet, NAME]);
      await run('docker', ['volume', 'create', ...label, NAME]);
      await run('docker', ['create', '--name', NAME, ...label, 'mcp-runner/tiny-server:local']);
      await run('docker', ['exec', '-d', containerId ?? '', '/.mcp-runner/busybox', 'sleep', '600']);
      await run('groupadd', ['--gid', `${lastUid}`, `mcp-${lastUid}`]);
      await run('userdel', ['--force', `mcp-${uid}`]);
      writeFileSync(file, '');
      const found = async (): Promise<string[]> =>
        (await inventory.differences(1)).map((line) => line.replace(/ [0-9a-f]{64}/, '')).sort();
      await eventually(found, [
        `3 server processes, not 1 + 1: ${id} has 3`,
        `missing line in group: mcp-${uid}`,
        `missing line in passwd: mcp-${uid}`,
        `missing line in shadow: mcp-${uid}`,
        `stray container: ${NAME} created`,
        `stray home: ${NAME}`,
        `stray line in group: mcp-${lastUid}`,
        `stray network: ${NAME} ${subnet}`,
        `stray volume: ${NAME}`,
      ]);
    } finally {
      rmSync(file, { force: true });
      await run('groupdel', [`mcp-${lastUid}`]);
      await run('docker', ['rm', NAME]);
      await run('docker', ['volume', 'rm', NAME]);
      await run('docker', ['network', 'rm', NAME]);
    }
    await service.delete(id);
    await ground.isGone();
  });

  it('is no crash at a point that does not exist', async () => {
    const { service } = ground;
    await expect(service.crashAt('NoSuchClass.run:before')).rejects.toThrow('there is no class NoSuchClass');
    await expect(service.crashAt('Reconciler.noSuch:after')).rejects.toThrow(
      'Reconciler has no method noSuch',
    );
    await expect(service.crashAt('Reconciler.request')).rejects.toThrow('this is no point to crash at');
    expect(await service.restartUntilCrash('Reconciler.noSuch:after')).toBe(78);
    await service.restart();
  });
});

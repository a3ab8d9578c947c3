import { access } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { runOnHost } from './host-command.js';
import { Mutex } from './mutex.js';

const TRIES = 10;
const PAUSE_MS = 100;

/** Loop devices, found again by the file behind them. */
export class LoopDevices {
  /** Finding a free device and taking it are two steps. */
  private readonly turns = new Mutex();

  /** The device of this file, `/dev/loop7`. */
  attach(file: string): Promise<string> {
    return this.turns.run(async () => {
      for (let attempt = 1; ; attempt += 1) {
        const [attached] = await this.devicesOf(file);
        if (attached !== undefined) return attached;
        try {
          const device = (await runOnHost('losetup', ['--find'])).trim();
          await makeNode(device);
          await runOnHost('losetup', [device, file]);
          return device;
        } catch (error) {
          // Another program was quicker.
          if (attempt === TRIES) throw error;
          await sleep(PAUSE_MS);
        }
      }
    });
  }

  /** A device still in use is released by the kernel with its last user. */
  async detach(file: string): Promise<void> {
    for (const device of await this.devicesOf(file)) {
      try {
        await runOnHost('losetup', ['--detach', device]);
      } catch (error) {
        // Its last user may have left between our look and now, and the kernel released it.
        if ((await this.devicesOf(file)).includes(device)) throw error;
      }
    }
  }

  private async devicesOf(file: string): Promise<string[]> {
    const lines = await runOnHost('losetup', ['--associated', file, '--noheadings', '--output', 'NAME']);
    return lines.split('\n').filter((line) => line !== '');
  }
}

/** In a container, /dev is a copy made at its start and lacks the devices that the kernel has added since. */
async function makeNode(device: string): Promise<void> {
  const exists = await access(device).then(
    () => true,
    () => false,
  );
  const minor = /^\/dev\/loop(\d+)$/.exec(device)?.[1];
  if (!exists && minor !== undefined) await runOnHost('mknod', ['-m', '0660', device, 'b', '7', minor]);
}

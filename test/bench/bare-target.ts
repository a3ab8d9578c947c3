import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { env } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { installPackages } from '../support/fixture-packages.js';
import { freePort } from '../support/own-place.js';
import { HttpConversation } from './http-conversation.js';
import type { Conversation, Target } from './target.js';

/** server-everything on its own HTTP, on the host, without a sandbox: what one gives up by sandboxing. */
export class BareTarget implements Target {
  readonly name = 'bare server, its own HTTP, no sandbox';

  private constructor(
    private readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(packageAtVersion: string): Promise<BareTarget> {
    const directory = await installPackages('bench', [packageAtVersion]);
    const port = await freePort();
    const main = join(directory, 'node_modules/@modelcontextprotocol/server-everything/dist/index.js');
    const child = spawn(process.execPath, [main, 'streamableHttp'], {
      env: { PATH: env['PATH'], PORT: String(port) },
      stdio: 'ignore',
    });
    const target = new BareTarget(`http://127.0.0.1:${port}/mcp`, child);
    await target.untilUp();
    return target;
  }

  open(): Promise<Conversation> {
    return HttpConversation.open(this.url);
  }

  async settle(): Promise<void> {}

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }

  private async untilUp(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      const up = await fetch(this.url).then(
        () => true,
        () => false,
      );
      if (up) return;
      await delay(100);
    }
    throw new Error('server-everything does not listen');
  }
}

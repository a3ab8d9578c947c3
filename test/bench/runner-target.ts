import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { npmImage } from '../support/fixture-image.js';
import { Service } from '../support/service.js';
import { HttpConversation } from './http-conversation.js';
import type { Conversation, Target } from './target.js';

/** Time for the spare process to boot and for ended ones to go; opening is measured with one spare ready. */
const SPARE_BOOT_MS = 2500;
/** For what the start has left to be collected. */
const SETTLE_MS = 5000;

/** The same server through mcp-runner, in gVisor, each session in a process of its own. */
export class RunnerTarget implements Target {
  readonly name = 'mcp-runner, in gVisor, isolated';

  private constructor(
    private readonly service: Service,
    private readonly url: string,
    private readonly headers: Record<string, string>,
    /** Of the control plane before there was a deployment. */
    readonly idleMb: number,
  ) {}

  static async start(packageAtVersion: string): Promise<RunnerTarget> {
    const image = await npmImage(packageAtVersion);
    const service = await Service.start();
    await delay(SETTLE_MS);
    const idleMb = rssMbOf(service.pid);
    const { urls, accessToken } = await service.deploy({
      image,
      maxMemory: 8192,
      maxCpus: 2,
      maxPids: 4096,
      maxSessions: 48,
    });
    return new RunnerTarget(service, urls.mcp, { authorization: `Bearer ${accessToken}` }, idleMb);
  }

  /** Of the control plane now. */
  get residentMb(): number {
    return rssMbOf(this.service.pid);
  }

  open(): Promise<Conversation> {
    return HttpConversation.open(this.url, this.headers);
  }

  async settle(): Promise<void> {
    await delay(SPARE_BOOT_MS);
  }

  stop(): Promise<void> {
    return this.service.stop();
  }
}

function rssMbOf(pid: number): number {
  const [, kb] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kb) / 1024;
}

import { expect, vi } from 'vitest';
import { answerText, RawClient } from './client-raw.js';
import { tinyImage } from './fixture-image.js';
import { InstanceInventory } from './instance-inventory.js';
import { type Deployment, type DeploymentRequest, Service } from './service.js';
import { storedDeployments } from './stored-rows.js';

const SETTLE_MS = 60_000;
const POLL_MS = 200;

/** As `expect.poll`, which does not know which of several tests calls it when they run at the same time. */
export async function eventually(read: () => unknown, expected: unknown, timeout = SETTLE_MS): Promise<void> {
  const check = async (): Promise<void> => expect(await read()).toEqual(expected);
  await vi.waitFor(check, { timeout, interval: POLL_MS });
}

/** A service that crashes where it is told to, and what is true of it and of the machine afterwards. */
export class CrashGround {
  private constructor(
    readonly service: Service,
    readonly inventory: InstanceInventory,
    private readonly image: string,
  ) {}

  static async create(): Promise<CrashGround> {
    const image = await tinyImage();
    const service = await Service.start({ canCrash: true });
    return new CrashGround(service, new InstanceInventory(service), image);
  }

  create(request: Partial<DeploymentRequest> = {}): Promise<Deployment> {
    return this.service.create({ image: this.image, ...request });
  }

  /** One that runs, and a client with an open session that has left a note in its home. */
  async deploy(note: string): Promise<{ id: string; containerId: string | null; client: RawClient }> {
    const { id } = await this.create();
    const { sandbox } = await this.service.settled(id);
    const client = this.client(id);
    await client.open();
    expect(answerText(await client.call(2, 'write', { text: note }))).toBe('written');
    return { id, containerId: sandbox.containerId, client };
  }

  client(id: string): RawClient {
    return new RawClient(`${this.service.origin}/mcp-server/${id}/mcp`, { 'x-api-key': this.service.apiKey });
  }

  power(id: string, verb: 'start' | 'pause'): Promise<unknown> {
    return this.service.api('POST', `/api/deployment/${id}/${verb}`);
  }

  /** Do something in the midst of which the service is killed. */
  async crash(point: string, act: () => Promise<unknown>): Promise<void> {
    await this.service.crashAt(point);
    // Whether an answer came before the end does not matter.
    const acting = act().catch(() => undefined);
    await this.mustBeKilled();
    await acting;
  }

  /** Start it again, to be killed once more while it takes over what it finds. */
  async crashAtStart(point: string): Promise<void> {
    await this.service.restartUntilCrash(point);
    await this.mustBeKilled();
  }

  private async mustBeKilled(): Promise<void> {
    expect(await this.service.untilExited()).toBe('SIGKILL');
    await this.inventory.note();
  }

  /** The only deployment there is, after the crash. */
  onlyId(): string {
    const [row, ...others] = storedDeployments(this.service);
    if (!row || others.length > 0) throw new Error(`There are ${others.length + (row ? 1 : 0)} deployments`);
    return row.id;
  }

  /** @param sessions how many have a server process */
  async becomes(id: string, status: 'running' | 'paused' | 'failed', sessions = 0): Promise<void> {
    await eventually(async () => (await this.service.get(id)).status, status);
    await this.matches(sessions);
  }

  async matches(sessions = 0): Promise<void> {
    await eventually(() => this.inventory.differences(sessions), []);
  }

  async isGone(): Promise<void> {
    await eventually(() => storedDeployments(this.service), []);
    await this.matches();
  }

  /** A new client is served, and finds what was left in the home. */
  async serves(id: string, note: string): Promise<void> {
    const client = this.client(id);
    await client.open();
    expect(answerText(await client.call(2, 'read'))).toBe(note);
    await client.end();
  }

  /** Whatever a test has left behind, for the next one. */
  async clear(): Promise<void> {
    await this.service.restart();
    await this.service.deleteAll();
    await this.isGone();
  }
}

/** Grounds for tests that run at the same time. */
export class CrashGrounds {
  private readonly all: CrashGround[] = [];
  private readonly free: CrashGround[] = [];
  private readonly waiting: ((ground: CrashGround) => void)[] = [];

  async open(count: number): Promise<void> {
    for (let i = 0; i < count; i++) this.all.push(await CrashGround.create());
    this.free.push(...this.all);
  }

  /** With a ground of its own, which it leaves as it found it. */
  async use(work: (ground: CrashGround) => Promise<void>): Promise<void> {
    const ground =
      this.free.pop() ?? (await new Promise<CrashGround>((resolve) => this.waiting.push(resolve)));
    let isClean = false;
    try {
      await work(ground);
      await ground.service.deleteAll();
      await ground.isGone();
      isClean = true;
    } finally {
      // What counts is why the test failed.
      if (!isClean) await ground.clear().catch(() => undefined);
      const next = this.waiting.shift();
      if (next) next(ground);
      else this.free.push(ground);
    }
  }

  async close(): Promise<void> {
    const ends = await Promise.allSettled(this.all.map(({ service }) => service.stop()));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  }
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tinyImage } from '../support/fixture-image.js';
import { InstanceInventory } from '../support/instance-inventory.js';
import { type DeploymentRequest, Service } from '../support/service.js';
import { storedSessions } from '../support/stored-rows.js';
import { countConnections, type Footprint, footprintEnv, takeFootprint } from './footprint.js';
import { leaksBetween } from './leaks.js';
import { endHttp, Site } from './site.js';
import { fallAsleep, vanish } from './sleepers.js';
import { CRASHES, MODERN, pausedBeneath, type Way, WAYS } from './ways.js';

const PLACES = 6;
/**
 * At the same time at one site. Few, so that what crashes is not told to come later, and there are more places, which
 * come back a moment after their client has left.
 */
const WORKERS = 2;
/** For the slowest, on a busy machine. */
const WAY_MS = 180_000;
/** Sessions that vanished expire meanwhile. */
const SETTLE_MS = 180_000;
/** Deadlines that nobody cancels run out meanwhile. */
const SHRINK_MS = 45_000;
const POLL_MS = 1000;
/** What stays by design: the process that is shared, and the one that is kept for the principal of the modern era. */
const KEPT_PROCESSES = 2;

/** Where `fetch` looks for its connections. */
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');

interface Dispatcher {
  constructor: new () => Dispatcher;
  destroy(): Promise<void>;
}

export interface SoakPlan {
  /** How often each way to use and drop a session is gone. */
  times: number;
  /** How often a deployment is paused beneath its sessions. */
  pauses: number;
  /** Sessions that sleep and come back, or are deleted asleep. */
  sleepers: number;
  /** Sessions of which nothing is heard any more, in waves; they take minutes to expire. */
  vanishing: number[];
}

export interface SoakResult {
  sessions: number;
  /** What is not as it was at the start, one line each. */
  leaks: string[];
}

/** Takes a line about how far it is. */
type Tell = (line: string) => void;

type SiteName = 'isolated' | 'shared' | 'crashing' | 'paused' | 'modern' | 'idle';

/** Uses sessions in every way there is, drops them in every way there is, and looks for what stayed behind. */
export async function soak(plan: SoakPlan, tell: Tell = () => undefined): Promise<SoakResult> {
  const image = await tinyImage();
  const directory = mkdtempSync(join(tmpdir(), 'mcp-runner-soak-'));
  const env = { ...footprintEnv(directory), SESSION_EXPIRES_AFTER_SECONDS: '90', MAX_CALL_SECONDS: '60' };
  const service = await Service.start({ env });
  try {
    const create = (request: Partial<DeploymentRequest> = {}, maxSessions = PLACES): Promise<Site> =>
      Site.create(service, { image, maxSessions, ...request });
    const [isolated, shared, crashing, paused, modern, idle] = await Promise.all([
      create(),
      create({ sessionMode: 'shared', warmProcesses: 0 }),
      create(),
      create(),
      create(),
      create({ sessionIdleSeconds: 30 }, Math.max(plan.sleepers, ...plan.vanishing)),
    ]);
    return await new Soak(service, directory, { isolated, shared, crashing, paused, modern, idle }, tell).run(
      plan,
    );
  } finally {
    rmSync(directory, { recursive: true });
    await service.stop();
  }
}

class Soak {
  private readonly inventory: InstanceInventory;

  constructor(
    private readonly service: Service,
    private readonly directory: string,
    private readonly sites: Record<SiteName, Site>,
    private readonly tell: Tell,
  ) {
    this.inventory = new InstanceInventory(service);
  }

  async run(plan: SoakPlan): Promise<SoakResult> {
    // What the first who needs it makes for all is no leak.
    this.tell('each way once');
    await this.useAll({ times: 1, pauses: 1, sleepers: 0, vanishing: [] });
    const strays = await this.settle();
    if (strays.length > 0) return this.result(strays);
    const before = await this.restingFootprint();
    this.tell('all sessions');
    await this.useAll(plan);
    this.tell('what is left');
    const leaks = await this.leaksSince(before);
    this.tell('all places, after a pause');
    const sites = Object.entries(this.sites);
    await Promise.all(sites.map(([name, site]) => this.go(site, name, (idle) => idle.becomeIdle())));
    await Promise.all(sites.map(([name, site]) => this.go(site, name, (free) => free.fill())));
    return this.result(leaks);
  }

  private async useAll({ times, pauses, sleepers, vanishing }: SoakPlan): Promise<void> {
    const { isolated, shared, crashing, paused, modern, idle } = this.sites;
    await Promise.all([
      this.goAll(isolated, WAYS, times),
      this.goAll(shared, WAYS, times),
      this.goAll(crashing, CRASHES, times),
      this.goAll(modern, MODERN, times),
      this.goAll(paused, { 'sessions whose deployment is paused': pausedBeneath }, pauses, 1),
      this.leaveIdle(idle, sleepers, vanishing),
    ]);
    // Crashes are counted until the server does something again.
    await endHttp(await crashing.http());
  }

  /** Each way so many times, some at once. */
  private async goAll(
    site: Site,
    ways: Record<string, Way>,
    times: number,
    workers = WORKERS,
  ): Promise<void> {
    const queue = Array.from({ length: times }, () => Object.entries(ways)).flat();
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next; next = queue.shift()) await this.go(site, ...next);
    };
    await Promise.all(Array.from({ length: workers }, work));
  }

  private async go(site: Site, name: string, way: Way): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      late = setTimeout(() => reject(new Error(`not done after ${WAY_MS} ms`)), WAY_MS);
    });
    try {
      await Promise.race([way(site), timeout]);
    } catch (error) {
      throw new Error(`${name}: ${String(error)}`, { cause: error });
    } finally {
      clearTimeout(late);
    }
  }

  private async leaveIdle(site: Site, sleepers: number, vanishing: number[]): Promise<void> {
    if (sleepers > 0) await fallAsleep(site, sleepers);
    for (const count of vanishing) await vanish(site, count);
  }

  /** Waits until what ends by itself has ended; what has not in time is told, one line each. */
  private async settle(): Promise<string[]> {
    for (const until = Date.now() + SETTLE_MS; ; await delay(POLL_MS)) {
      const strays = await this.strays();
      if (strays.length === 0 || Date.now() >= until) return strays;
    }
  }

  private async strays(): Promise<string[]> {
    await this.sites.modern.keepWarm();
    await hangUp();
    const connections = countConnections(this.service);
    const rows = storedSessions(this.service).length;
    return [
      ...(connections === 0 ? [] : [`${connections} connections of clients`]),
      ...(rows === 0 ? [] : [`${rows} rows of sessions`]),
      // It asks the sandboxes, of which one may be on its way.
      ...(await this.inventory.differences(KEPT_PROCESSES).catch((error: unknown) => [String(error)])),
    ];
  }

  /** One that stays the same. The first look also costs memory that stays. */
  private async restingFootprint(): Promise<Footprint> {
    let last = await takeFootprint(this.service, this.directory);
    for (const until = Date.now() + SHRINK_MS; ;) {
      await this.settle();
      const next = await takeFootprint(this.service, this.directory);
      const changes = leaksBetween({ ...last, memory: next.memory }, next);
      if (changes.length === 0) return next;
      if (Date.now() >= until) throw new Error(`Nobody does anything, and still: ${changes.join(', ')}`);
      last = next;
    }
  }

  private async leaksSince(before: Footprint): Promise<string[]> {
    for (const until = Date.now() + SHRINK_MS; ; await delay(POLL_MS)) {
      const strays = await this.settle();
      const grown = leaksBetween(before, await takeFootprint(this.service, this.directory));
      const isOver = strays.length > 0 || grown.length === 0 || Date.now() >= until;
      if (isOver) return [...strays, ...grown];
    }
  }

  private result(leaks: string[]): SoakResult {
    return { sessions: Object.values(this.sites).reduce((sum, { opened }) => sum + opened, 0), leaks };
  }
}

/** What `fetch` keeps open for its next request would count as clients that are still there. */
async function hangUp(): Promise<void> {
  const held = globalThis as { [DISPATCHER]?: Dispatcher };
  const before = held[DISPATCHER];
  if (!before) return;
  held[DISPATCHER] = new before.constructor();
  await before.destroy();
}

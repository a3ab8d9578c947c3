import { Injectable } from '@nestjs/common';
import { Config } from '../config/config.js';
import { AppError } from '../errors/app-error.js';
import { Activity } from './activity.js';
import type { StatusReason } from './deployment.js';
import { DeploymentEvents } from './deployment-events.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentsRepository } from './deployments.repository.js';
import { IdleClockRepository } from './idle-clock.repository.js';

/** What was used so recently is not idle, however much others press. */
const IDLE_MS = 10_000;
const MOST_AT_ONCE = 100;

/**
 * How many sandboxes run at once, and how much memory they may take together. Who finds no room waits in line; whoever
 * gives room back lets the next one in.
 */
@Injectable()
export class Capacity {
  /** Memory limits in MB of those that have room. */
  private readonly held = new Map<string, number>();
  private readonly waiting = new Map<string, number>();
  private letIn: (id: string) => void = () => undefined;

  constructor(
    private readonly config: Config,
    private readonly repository: DeploymentsRepository,
    private readonly idleClock: IdleClockRepository,
    private readonly lifecycle: DeploymentLifecycle,
    private readonly activity: Activity,
    events: DeploymentEvents,
  ) {
    events.onStatus(({ deploymentId, to }) => {
      // Whatever is still to be done about it, it does not want to run any more, and must not hold up those behind it.
      if (to !== 'pending' && to !== 'starting' && this.waiting.delete(deploymentId)) this.next();
    });
  }

  /** `letIn` is called for one that waited, when it is worth asking again. */
  onRoom(letIn: (id: string) => void): void {
    this.letIn = letIn;
  }

  /** It runs already, whether or not there would be room. */
  hold({ id, maxMemoryMb }: Pick<DeploymentRow, 'id' | 'maxMemoryMb'>): void {
    this.held.set(id, maxMemoryMb);
  }

  /**
   * One that has room is to have more memory from its next start on: taken at once, or that start would exceed what there
   * is. Throws `capacity_exhausted`. What has no room yet asks when it starts.
   */
  grow(id: string, memoryMb: number): void {
    const held = this.held.get(id);
    // What it has less of is free when it is started again.
    if (held === undefined || memoryMb <= held) return;
    if (!this.hasRoomFor(memoryMb, { count: 1, memoryMb: held })) {
      throw new AppError('capacity_exhausted', { detail: `${this.describe()}.` });
    }
    this.held.set(id, memoryMb);
  }

  /** Undefined: there is room, and it is taken until `release`. Otherwise why not; it stands in line from now on. */
  admit(row: DeploymentRow, now: number): StatusReason | undefined {
    if (this.held.has(row.id) || (this.isFirst(row.id) && this.hasRoomFor(row.maxMemoryMb))) {
      const hasWaited = this.waiting.delete(row.id);
      const gaveBack = (this.held.get(row.id) ?? 0) > row.maxMemoryMb;
      this.hold(row);
      if (hasWaited || gaveBack) this.next();
      return undefined;
    }
    this.waiting.set(row.id, row.maxMemoryMb);
    this.relieve(now);
    return { code: 'capacity_exhausted', message: `Waiting for room: ${this.describe()}.` };
  }

  /** It does not run any more, and does not want to. */
  release(id: string): void {
    const had = this.held.delete(id);
    if (!this.waiting.delete(id) && !had) return;
    this.next();
  }

  /** Where that is allowed, pause the least recently used idle deployments for those that wait. */
  relieve(now: number): void {
    const [first] = this.waiting.values();
    if (first === undefined || !this.config.pauseUnderPressure) return;
    this.activity.flush(now);
    const reason = {
      code: 'pressure',
      message: 'It was idle, and another deployment needed the room.',
    } as const;
    let freed = this.leaving();
    for (const row of this.idleClock.listIdle(now - IDLE_MS, MOST_AT_ONCE)) {
      if (this.hasRoomFor(first, freed)) return;
      if (this.activity.isBusy(row.id) || !this.lifecycle.move(row.id, 'pausing', reason, now)) continue;
      freed = { count: freed.count + 1, memoryMb: freed.memoryMb + row.maxMemoryMb };
    }
  }

  private next(): void {
    const [first] = this.waiting.keys();
    if (first !== undefined) this.letIn(first);
  }

  private isFirst(id: string): boolean {
    const [first] = this.waiting.keys();
    return first === undefined || first === id;
  }

  /** What is being paused already gives its room back soon. */
  private leaving(): { count: number; memoryMb: number } {
    const ids = this.repository.listIdsByStatus('pausing').filter((id) => this.held.has(id));
    return { count: ids.length, memoryMb: ids.reduce((sum, id) => sum + (this.held.get(id) ?? 0), 0) };
  }

  private hasRoomFor(memoryMb: number, freed = { count: 0, memoryMb: 0 }): boolean {
    const { maxRunning = Infinity, maxRunningMemoryMb = Infinity } = this.config;
    const count = this.held.size - freed.count + 1;
    return count <= maxRunning && this.heldMb - freed.memoryMb + memoryMb <= maxRunningMemoryMb;
  }

  private get heldMb(): number {
    let sum = 0;
    for (const memoryMb of this.held.values()) sum += memoryMb;
    return sum;
  }

  private describe(): string {
    const { maxRunning, maxRunningMemoryMb } = this.config;
    const parts = [
      ...(maxRunning === undefined
        ? []
        : [`${this.held.size} of ${maxRunning} deployments run (MAX_RUNNING)`]),
      ...(maxRunningMemoryMb === undefined
        ? []
        : [`${this.heldMb} of ${maxRunningMemoryMb} MB are taken (MAX_RUNNING_MEMORY)`]),
    ];
    return parts.join(', ');
  }
}

import { Injectable } from '@nestjs/common';
import type { ReasonCode } from './deployment.js';
import { DeploymentEvents, type StatusChange } from './deployment-events.js';

/**
 * `start`: it was told to, or is new · `wake`: a request came while it was paused · `restart`: it was told to · `recovery`:
 * its sandbox had ended · `adoption`: the service was restarted and takes its sandbox over.
 */
export const START_KINDS = ['start', 'wake', 'restart', 'recovery', 'adoption'] as const;
export type StartKind = (typeof START_KINDS)[number];

export interface Start {
  readonly deploymentId: string;
  readonly kind: StartKind;
}

/** `ready`: it runs · `superseded`: it was paused or deleted meanwhile · else why it failed. */
export type StartEnd = ReasonCode | 'superseded';

/** Must not throw and not wait. */
export interface StartObserver {
  began(start: Start): void;
  /** Of the same object that began. `seconds`: since then. */
  ended(start: Start, end: StartEnd, seconds: number): void;
}

/** Tells of starts as a whole, which in the rows are two changes of status. */
@Injectable()
export class StartWatch {
  private readonly observers: StartObserver[] = [];
  /** Those under way, by deployment. */
  private readonly starts = new Map<string, { start: Start; beganAt: number }>();

  constructor(events: DeploymentEvents) {
    events.onStatus((change) => this.follow(change));
  }

  observe(observer: StartObserver): void {
    this.observers.push(observer);
  }

  private follow(change: StatusChange): void {
    const { deploymentId, to } = change;
    const open = this.starts.get(deploymentId);
    if (open) {
      this.starts.delete(deploymentId);
      const seconds = (performance.now() - open.beganAt) / 1000;
      for (const observer of this.observers) observer.ended(open.start, endOf(change), seconds);
    }
    if (to !== 'starting') return;
    const start = { deploymentId, kind: kindOf(change) };
    this.starts.set(deploymentId, { start, beganAt: performance.now() });
    for (const observer of this.observers) observer.began(start);
  }
}

function endOf({ to, code }: StatusChange): StartEnd {
  if (to === 'running') return 'ready';
  return to === 'failed' ? code : 'superseded';
}

function kindOf({ from, code }: StatusChange): StartKind {
  if (code === 'waking') return 'wake';
  if (code === 'adopting') return 'adoption';
  if (code === 'sandbox_gone' || code === 'out_of_memory') return 'recovery';
  return from === 'running' ? 'restart' : 'start';
}

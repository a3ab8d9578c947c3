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

/** How long a start took, from when it was decided: what it waited for is part of it, room and the engine included. */
export interface StartTimes {
  seconds: number;
  /** Of that until the sandbox ran, the image's pull included; undefined: it never ran, or ran already. */
  sandboxSeconds: number | undefined;
}

/** Must not throw and not wait. */
export interface StartObserver {
  began?(start: Start): void;
  /** Of the same object that began. */
  ended(start: Start, end: StartEnd, times: StartTimes): void;
}

/** A start under way; in milliseconds of `performance.now()`. */
interface OpenStart {
  readonly start: Start;
  readonly beganAt: number;
  sandboxRanAt?: number;
}

/** The one stopwatch of starts: tells of them as a whole, which in the rows are two changes of status. */
@Injectable()
export class StartWatch {
  private readonly observers: StartObserver[] = [];
  /** Those under way, by deployment. */
  private readonly starts = new Map<string, OpenStart>();

  constructor(events: DeploymentEvents) {
    events.onStatus((change) => this.follow(change));
  }

  observe(observer: StartObserver): void {
    this.observers.push(observer);
  }

  /** From here on it is the server that is waited for. */
  sandboxRuns(deploymentId: string): void {
    const open = this.starts.get(deploymentId);
    if (open) open.sandboxRanAt = performance.now();
  }

  private follow(change: StatusChange): void {
    const { deploymentId, to } = change;
    const open = this.starts.get(deploymentId);
    if (open) {
      this.starts.delete(deploymentId);
      const times = timesOf(open);
      for (const observer of this.observers) observer.ended(open.start, endOf(change), times);
    }
    if (to !== 'starting') return;
    const start = { deploymentId, kind: kindOf(change) };
    this.starts.set(deploymentId, { start, beganAt: performance.now() });
    for (const observer of this.observers) observer.began?.(start);
  }
}

function timesOf({ beganAt, sandboxRanAt }: OpenStart): StartTimes {
  return {
    seconds: (performance.now() - beganAt) / 1000,
    sandboxSeconds: sandboxRanAt === undefined ? undefined : (sandboxRanAt - beganAt) / 1000,
  };
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

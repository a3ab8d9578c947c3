import type { StatusReason } from './deployment.js';

/** The one piece of work on one deployment. */
export class Run {
  /** Something changed meanwhile: look again when the present step is over. */
  again = false;
  failures = 0;
  doing: 'start' | 'remove' | 'other' = 'other';
  /** Why it is being paused: its row also says what goes wrong with that. */
  pausedBecause: StatusReason | undefined;
  /** Of the present step. */
  work = new AbortController();
  /** Of the pause after a failed step. */
  rest = new AbortController();
  done: Promise<void> = Promise.resolve();
}

/** One thing that sandboxes need of the machine. */
export interface HostFinding {
  name: string;
  level: 'ok' | 'warn' | 'fail';
  /** What is so, in a sentence. */
  message: string;
  /** How to mend it, where it is not ok. */
  fix?: string;
}

/** A look at the machine that sandboxes run on. Changes nothing, and works while the engine is away. */
export abstract class HostSurvey {
  /** Never rejects; what cannot be found out is a finding, too. */
  abstract look(signal: AbortSignal): Promise<HostFinding[]>;

  /** Uids in the configured range that have a system account of ours. */
  abstract accountUids(): Promise<number[]>;
}

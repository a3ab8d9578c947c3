import { Injectable } from '@nestjs/common';

export interface SessionCount {
  /** With a server process, or about to have one. */
  sessions: number;
  /** Answers that clients wait for. */
  callsInFlight: number;
}

export interface LiveSession {
  /** Public name, `s_…`: the session's id is its client's secret. */
  handle: string;
  callsInFlight: number;
  isConnected: boolean;
  hasProcess: boolean;
  /** Milliseconds since 1970. */
  lastUsedAt: number;
}

/** Who holds the sessions. */
export interface SessionKeeper {
  count(deploymentId: string): SessionCount;
  list(deploymentId: string): LiveSession[];
  /** For good. Resolves when nothing of it is left; false: there is none of this handle. */
  end(deploymentId: string, handle: string): Promise<boolean>;
}

/** What clients do with a deployment just now. Its sessions are held elsewhere, by who says so at the start. */
@Injectable()
export class SessionCensus {
  private keeper: SessionKeeper | undefined;

  ask(keeper: SessionKeeper): void {
    this.keeper = keeper;
  }

  of(deploymentId: string): SessionCount {
    return this.keeper?.count(deploymentId) ?? { sessions: 0, callsInFlight: 0 };
  }

  list(deploymentId: string): LiveSession[] {
    return this.keeper?.list(deploymentId) ?? [];
  }

  async end(deploymentId: string, handle: string): Promise<boolean> {
    return (await this.keeper?.end(deploymentId, handle)) ?? false;
  }
}

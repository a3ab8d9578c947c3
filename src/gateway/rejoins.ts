import { Injectable } from '@nestjs/common';
import { within } from '../waiting/within.js';

/** What a request waits for others; a server that is slow to take them has it all the same. */
const PATIENCE_MS = 2000;

/**
 * Clients that only listen, on their way to a process that serves all clients and was just started. The request that
 * brought it waits for them, or they would miss what it brings about.
 */
@Injectable()
export class Rejoins {
  private readonly underWay = new Map<string, Promise<void>>();

  /** @param joining must not reject */
  add(deploymentId: string, joining: Promise<unknown>): void {
    const all = Promise.all([this.underWay.get(deploymentId), within(PATIENCE_MS, joining)]).then(() => {
      if (this.underWay.get(deploymentId) === all) this.underWay.delete(deploymentId);
      return undefined;
    });
    this.underWay.set(deploymentId, all);
  }

  /** Resolves when they are there, or 2 s after the start; undefined: nobody is under way. Never rejects. */
  untilJoined(deploymentId: string): Promise<void> | undefined {
    return this.underWay.get(deploymentId);
  }
}

import { Injectable, Logger } from '@nestjs/common';
import type { Status } from './deployment.js';

export interface StatusChange {
  deploymentId: string;
  from: Status;
  /** `deleted`: the row and everything else is gone. */
  to: Status | 'deleted';
}

/** Tells who wants to know, in this process, that a deployment changed its status. */
@Injectable()
export class DeploymentEvents {
  private readonly logger = new Logger(DeploymentEvents.name);
  private readonly listeners = new Set<(change: StatusChange) => void>();

  /** Calls `listener` after each change, until the returned function is called. It must not throw and not wait. */
  onStatus(listener: (change: StatusChange) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  emit(change: StatusChange): void {
    for (const listener of this.listeners) {
      try {
        listener(change);
      } catch (error) {
        // One bad listener must keep neither the others nor the reconciler from going on.
        this.logger.error(error);
      }
    }
  }
}

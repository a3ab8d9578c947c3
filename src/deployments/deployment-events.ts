import { Injectable, Logger } from '@nestjs/common';
import { within } from '../waiting/within.js';
import type { ReasonCode, Status } from './deployment.js';

export interface StatusChange {
  deploymentId: string;
  from: Status;
  /** `deleted`: the row and everything else is gone. */
  to: Status | 'deleted';
  /** Why. */
  code: ReasonCode;
}

/** A server process, or a sandbox, that ended by itself. */
export interface ServerCrash {
  deploymentId: string;
  code: ReasonCode;
}

/** For the processes in a sandbox to end in order: stdin closed, SIGTERM, SIGKILL. */
const LEAVE_MS = 10_000;

/** Tells who wants to know, in this process, that a deployment changed its status, or that its sandbox is about to go. */
@Injectable()
export class DeploymentEvents {
  private readonly logger = new Logger(DeploymentEvents.name);
  private readonly listeners = new Set<(change: StatusChange) => void>();
  private readonly witnesses = new Set<(crash: ServerCrash) => void>();
  private readonly clients = new Set<(deploymentId: string) => void>();
  private readonly guests = new Set<(deploymentId: string) => Promise<void>>();

  /** Calls `listener` after each change, until the returned function is called. It must not throw and not wait. */
  onStatus(listener: (change: StatusChange) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Calls `listener` each time the process that serves all clients of a deployment is there. It must not throw and not wait. */
  onServing(listener: (deploymentId: string) => void): () => void {
    this.clients.add(listener);
    return () => this.clients.delete(listener);
  }

  /** The process that serves all clients of a deployment is there. */
  serving(deploymentId: string): void {
    this.tell(this.clients, deploymentId);
  }

  /** Waits for `listener` each time before a sandbox is stopped, until the returned function is called. */
  onStopping(listener: (deploymentId: string) => Promise<void>): () => void {
    this.guests.add(listener);
    return () => this.guests.delete(listener);
  }

  /** Let whoever has processes in the sandbox end them first. Never rejects. */
  async stopping(deploymentId: string): Promise<void> {
    await within(LEAVE_MS, Promise.allSettled([...this.guests].map((leave) => leave(deploymentId))));
  }

  /** Calls `listener` after each crash, until the returned function is called. It must not throw and not wait. */
  onCrash(listener: (crash: ServerCrash) => void): () => void {
    this.witnesses.add(listener);
    return () => this.witnesses.delete(listener);
  }

  crashed(crash: ServerCrash): void {
    this.tell(this.witnesses, crash);
  }

  emit(change: StatusChange): void {
    this.tell(this.listeners, change);
  }

  private tell<T>(listeners: Iterable<(news: T) => void>, news: T): void {
    for (const listener of listeners) {
      try {
        listener(news);
      } catch (error) {
        // One bad listener must keep neither the others nor the reconciler from going on.
        this.logger.error(error);
      }
    }
  }
}

import { Injectable, Logger } from '@nestjs/common';
import { EventLog } from '../events/event-log.js';
import type { Status, StatusReason } from './deployment.js';
import { DeploymentEvents } from './deployment-events.js';
import type { DeploymentRow } from './deployment.table.js';
import { type Change, DeploymentsRepository } from './deployments.repository.js';

/** Every change of status goes through here: one statement, one log line, one event. */
@Injectable()
export class DeploymentLifecycle {
  private readonly logger = new Logger('Deployments');

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly events: DeploymentEvents,
    private readonly log: EventLog,
  ) {}

  /** Undefined when the change is not possible any more. */
  move(
    id: string,
    to: Status,
    reason: StatusReason,
    now: number,
    change: Change = {},
  ): DeploymentRow | undefined {
    // Nothing can come between these two: both are synchronous, and this process is the file's only writer.
    const from = this.repository.find(id)?.status;
    const row = this.repository.transition(id, to, reason, now, change);
    if (from === undefined || row === undefined) return undefined;
    this.logger.log({ event: 'deployment_status', deploymentId: id, from, to, code: reason.code });
    const data = { from, to, ...reason };
    // Before the listeners, who may move it on at once.
    this.log.append(row.tenantId, { type: 'status', deploymentId: id, at: now, data });
    this.events.emit({ deploymentId: id, from, to, code: reason.code });
    return row;
  }

  /** A server process ended by itself `crashes` times in a row; the next one is not started for `waitMs`. */
  noteCrash(id: string, crash: StatusReason & { crashes: number; waitMs: number }, now: number): void {
    const { code, message, crashes, waitMs } = crash;
    const row = this.repository.find(id);
    if (!row) return;
    this.logger.warn({ event: 'server_crashed', deploymentId: id, code, crashes, waitMs });
    const data = { code, message, failures: crashes, retryInSeconds: waitMs / 1000 };
    this.log.append(row.tenantId, { type: 'crash', deploymentId: id, at: now, data });
    const times = crashes === 1 ? '' : ` ${crashes} times in a row`;
    this.events.crashed({ deploymentId: id, code });
    const words = `It ended by itself${times}; it is started again with the next request, not before ${waitMs / 1000} s.`;
    this.repository.annotate(id, 'running', { code, message: `${words} ${message}` }, now);
  }

  /** The end: the row goes. */
  finish(id: string): void {
    const row = this.repository.find(id);
    if (row === undefined || !this.repository.remove(id)) return;
    this.logger.log({ event: 'deployment_status', deploymentId: id, from: 'deleting', to: 'deleted' });
    const data = { from: 'deleting', to: 'deleted', code: row.reasonCode, message: 'Everything is gone.' };
    this.log.append(row.tenantId, { type: 'status', deploymentId: id, at: Date.now(), data });
    this.events.emit({ deploymentId: id, from: 'deleting', to: 'deleted', code: row.reasonCode });
  }
}

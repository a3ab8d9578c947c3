import { Injectable, Logger } from '@nestjs/common';
import type { Status, StatusReason } from './deployment.js';
import { DeploymentEvents } from './deployment-events.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentsRepository, type SandboxFacts } from './deployments.repository.js';

/** Every change of status goes through here: one statement, one log line, one event. */
@Injectable()
export class DeploymentLifecycle {
  private readonly logger = new Logger('Deployments');

  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly events: DeploymentEvents,
  ) {}

  /** Undefined when the change is not possible any more. */
  move(
    id: string,
    to: Status,
    reason: StatusReason,
    now: number,
    facts: SandboxFacts = {},
  ): DeploymentRow | undefined {
    // Nothing can come between these two: both are synchronous, and this process is the file's only writer.
    const from = this.repository.find(id)?.status;
    const row = this.repository.transition(id, to, reason, now, facts);
    if (from === undefined || row === undefined) return undefined;
    this.logger.log({ event: 'deployment_status', deploymentId: id, from, to, code: reason.code });
    this.events.emit({ deploymentId: id, from, to });
    return row;
  }

  /** The end: the row goes. */
  finish(id: string): void {
    if (!this.repository.remove(id)) return;
    this.logger.log({ event: 'deployment_status', deploymentId: id, from: 'deleting', to: 'deleted' });
    this.events.emit({ deploymentId: id, from: 'deleting', to: 'deleted' });
  }
}

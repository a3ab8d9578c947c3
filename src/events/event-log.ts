import { randomBytes } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import { dtoOf } from './event.dto.js';
import { EventRing } from './event-ring.js';
import type { TenantEvent } from './tenant-event.js';

/**
 * What happened lately, for those who follow it. In memory only: a deployment that is deleted leaves no row behind, and
 * who follows across a restart is told to look again.
 */
@Injectable()
export class EventLog {
  private readonly logger = new Logger(EventLog.name);
  private readonly epoch = randomBytes(4).toString('hex');
  private readonly rings = new Map<string, EventRing>();

  /** Takes microseconds, whoever follows, and never throws: what happened must not fail because it cannot be told. */
  append(tenantId: string, event: TenantEvent): void {
    try {
      this.ringOf(tenantId).append(event.type, event.deploymentId, dtoOf(event));
    } catch (error) {
      this.logger.error(error);
    }
  }

  ringOf(tenantId: string): EventRing {
    let ring = this.rings.get(tenantId);
    if (ring === undefined) this.rings.set(tenantId, (ring = new EventRing(this.epoch)));
    return ring;
  }
}

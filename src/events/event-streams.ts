import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable } from '@nestjs/common';
import { EventLog } from './event-log.js';
import { EventSubscriber } from './event-subscriber.js';
import { OpenStreams } from './open-streams.js';

/** All streams of events that are open. */
@Injectable()
export class EventStreams extends OpenStreams {
  constructor(private readonly log: EventLog) {
    super();
  }

  /**
   * Answers with a stream of the tenant's events, or only with those of one deployment. Throws, with nothing written,
   * `shutting_down`, `event_streams_limit`, or `bad_request`.
   */
  serve(tenantId: string, req: IncomingMessage, res: ServerResponse, deploymentId?: string): void {
    this.admit(
      tenantId,
      req,
      res,
      (lastEventId) => new EventSubscriber(this.log.ringOf(tenantId), res, { lastEventId, deploymentId }),
    );
  }
}

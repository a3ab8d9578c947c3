import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable, Logger } from '@nestjs/common';
import { OpenStreams } from '../events/open-streams.js';
import { type Followed, LogFollower } from './log-follower.js';
import { LogStore } from './log-store.js';

/** All streams of logs that are open. */
@Injectable()
export class LogStreams extends OpenStreams {
  private readonly logger = new Logger(LogStreams.name);

  constructor(private readonly store: LogStore) {
    super();
  }

  /**
   * Answers with a stream of the log's lines: those that `lookBack` finds first, unless the client comes back. Throws,
   * with nothing written, `deployment_not_found`, `shutting_down`, `event_streams_limit`, or `bad_request`.
   */
  serve(
    { tenantId, id }: { tenantId: string; id: string },
    wanted: Pick<Followed, 'process' | 'lookBack'>,
    req: IncomingMessage,
    res: ServerResponse,
  ): void {
    const log = this.store.get(id);
    const onFault = (error: unknown): void => this.logger.error(error);
    this.admit(tenantId, req, res, (lastEventId) => {
      return new LogFollower({ ...wanted, log, lastEventId }, res, onFault);
    });
  }
}

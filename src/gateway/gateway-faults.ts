import type { IncomingMessage } from 'node:http';
import { Injectable, Logger } from '@nestjs/common';
import { requestIdOf } from '../errors/request-id.js';
import { stackOf } from '../errors/stack-of.js';

/** Gets what is our fault, for those who are paid to look. */
type Report = (error: unknown, tags: { requestId?: string; code: string }) => void;

/** What should not have happened on the data path: each is logged, and reported where somebody wants that. */
@Injectable()
export class GatewayFaults {
  private readonly logger = new Logger('Gateway');
  private report: Report | undefined;

  reportTo(report: Report): void {
    this.report = report;
  }

  /** `req`: of the client whose request it was, where it was one's. */
  tell(error: unknown, req?: IncomingMessage): void {
    const requestId = req && requestIdOf(req);
    this.logger.error({ event: 'gateway_fault', requestId, error: stackOf(error) });
    this.report?.(error, { ...(requestId !== undefined && { requestId }), code: 'internal_error' });
  }
}

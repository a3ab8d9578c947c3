import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { PROBLEM_MEDIA_TYPE, appErrorOf, problemOf } from './problem.js';
import { requestIdOf } from './request-id.js';
import { stackOf } from './stack-of.js';

/** The one place where an error becomes an answer. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  /** @param report gets what is our fault, for those who are paid to look */
  constructor(private readonly report: (error: unknown, tags: { requestId: string; code: string }) => void) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const req = host.switchToHttp().getRequest<Request>();
    const res = host.switchToHttp().getResponse<Response>();
    const error = appErrorOf(thrown);
    const requestId = requestIdOf(req) ?? '';
    const path = req.originalUrl.split('?', 1)[0];
    const facts = { requestId, method: req.method, path, code: error.code };
    if (error.code === 'internal_error') {
      const cause = error.cause ?? error;
      this.logger.error({ event: 'request_failed', ...facts, cause: stackOf(cause) });
      this.report(cause, { requestId, code: error.code });
    } else if (error.status >= 500) {
      this.logger.warn({ event: 'request_refused', ...facts, cause: stackOf(error) });
    }
    // The client went away, or a stream broke: nobody can be told any more.
    if (res.headersSent) {
      res.destroy();
      return;
    }
    if (error.retryAfterSeconds !== undefined) res.setHeader('Retry-After', error.retryAfterSeconds);
    res
      .status(error.status)
      .type(PROBLEM_MEDIA_TYPE)
      .json(problemOf(error, requestId, path));
  }
}

import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';

const HEADER = 'X-Request-Id';

/** Every answer has an id that the log has too. Ours alone: a client's own could be anything, twice. */
export function assignRequestId(_req: Request, res: Response, next: NextFunction): void {
  res.setHeader(HEADER, randomUUID());
  next();
}

export function requestIdOf(res: Response): string {
  return String(res.getHeader(HEADER) ?? '');
}

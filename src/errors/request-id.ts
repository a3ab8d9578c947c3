import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

const HEADER = 'x-request-id';
/** UUIDs, ULIDs, hex, and what load balancers make; nothing that would have to be escaped anywhere. */
const WELL_FORMED = /^[\w.:/@+=~-]{1,128}$/;

const ids = new WeakMap<IncomingMessage, string>();

/**
 * Every request has an id, which its answer and the log have too: the client's own where it is well-formed, so that one
 * search finds it everywhere, else one of ours. Clients may repeat theirs; it is a name, never a key.
 */
export function assignRequestId(req: IncomingMessage, res: ServerResponse, next: () => void): void {
  takeRequestId(req);
  showRequestId(req, res);
  next();
}

/** Whoever has the request has its id from then on, whatever becomes of its headers. */
export function takeRequestId(req: IncomingMessage): void {
  const asked = req.headers[HEADER];
  const isGood = typeof asked === 'string' && WELL_FORMED.test(asked);
  ids.set(req, isGood ? asked : randomUUID());
}

export function showRequestId(req: IncomingMessage, res: ServerResponse): void {
  const id = requestIdOf(req);
  if (id !== undefined) res.setHeader('X-Request-Id', id);
}

/** Undefined for a request that was given none. */
export function requestIdOf(req: IncomingMessage): string | undefined {
  return ids.get(req);
}

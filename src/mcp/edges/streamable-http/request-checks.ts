import type { IncomingMessage } from 'node:http';
import { EdgeError } from '../http/http-reply.js';

/** Revisions that begin with `initialize`, oldest first. */
const HANDSHAKE_REVISIONS = ['2024-10-07', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];

/** Which of the two answers a client can read. */
export interface Accepted {
  json: boolean;
  sse: boolean;
}

/** What the Accept header allows; a client that names only one of the two gets that one. */
export function acceptedTypes(req: IncomingMessage): Accepted {
  const ranges = (req.headers.accept ?? '*/*').split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    return parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) ? '' : type;
  });
  const accepts = (type: string, wildcard: string): boolean =>
    ranges.some((range) => range === type || range === wildcard || range === '*/*');
  return { json: accepts('application/json', 'application/*'), sse: accepts('text/event-stream', 'text/*') };
}

export function requireAnswerable(accepted: Accepted): void {
  if (accepted.json || accepted.sse) return;
  throw new EdgeError(406, 'Not Acceptable: the client must accept application/json or text/event-stream');
}

export function requireEventStream(accepted: Accepted): void {
  if (!accepted.sse) throw new EdgeError(406, 'Not Acceptable: the client must accept text/event-stream');
}

export function requireJsonBody(req: IncomingMessage): void {
  const type = req.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new EdgeError(415, 'Unsupported Media Type: Content-Type must be application/json');
  }
}

/** The header is absent before revision 2025-06-18; where it stands it must name a revision we speak. */
export function requireKnownRevision(req: IncomingMessage): void {
  const revision = req.headers['mcp-protocol-version'];
  if (revision === undefined || HANDSHAKE_REVISIONS.includes(String(revision))) return;
  throw new EdgeError(
    400,
    `Bad Request: Unsupported protocol version (supported versions: ${HANDSHAKE_REVISIONS.join(', ')})`,
  );
}

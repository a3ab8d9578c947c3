import type { IncomingMessage } from 'node:http';
import { HttpFault, mediaTypeOf } from './http-exchange.js';

const NO_CREDENTIALS = 'it gets no credentials of clients; give it what it needs by env or args';

/**
 * Throws `HttpFault` for an answer that must not go any further: one that sends elsewhere, asks for the client's
 * credentials, or is encoded as nobody asked.
 */
export function requirePassable(answer: IncomingMessage): void {
  const { statusCode: status = 0 } = answer;
  if (status >= 300 && status < 400) {
    throw new HttpFault(`answered with a redirect (HTTP ${status}), and redirects are not followed`);
  }
  if (status === 401 || status === 407) throw new HttpFault(`refused with HTTP ${status}: ${NO_CREDENTIALS}`);
  if (status < 200 || status > 599) throw new HttpFault(`answered with HTTP ${status}`);
  const encoding = answer.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    throw new HttpFault(`answered with content-encoding ${encoding.slice(0, 40)}, which was not asked for`);
  }
}

/** Throws `HttpFault` unless the answer is a success, and passable. */
export function requireReadable(answer: IncomingMessage): void {
  requirePassable(answer);
  const { statusCode: status = 0 } = answer;
  if (status === 403) throw new HttpFault(`refused with HTTP 403: ${NO_CREDENTIALS}`);
  if (status === 404 || status === 405) {
    throw new HttpFault(
      `answered with HTTP ${status}; do transport.type and the path of transport.endpoint fit it?`,
    );
  }
  if (status > 299) throw new HttpFault(`answered with HTTP ${status}`);
}

export function oddType(answer: IncomingMessage): HttpFault {
  const type = mediaTypeOf(answer).slice(0, 100);
  const what = type === '' ? 'no content type' : `content type ${type}`;
  return new HttpFault(`answered with ${what}; MCP has application/json and text/event-stream`);
}

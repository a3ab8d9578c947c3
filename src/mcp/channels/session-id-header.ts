import type { IncomingMessage } from 'node:http';
import { HttpFault } from './http-exchange.js';

const SESSION_ID = /^[\x21-\x7e]{1,1024}$/;

/** The session that a server has opened; undefined: it has none. Throws `HttpFault`. */
export function sessionIdIn(answer: IncomingMessage): string | undefined {
  const id = answer.headers['mcp-session-id'];
  if (id === undefined) return undefined;
  if (typeof id !== 'string' || !SESSION_ID.test(id)) {
    throw new HttpFault('gave a session id that is not visible ASCII of at most 1024 characters');
  }
  return id;
}

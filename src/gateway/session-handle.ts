import { createHash } from 'node:crypto';

/** Names a session where its id, which opens it, must not be shown. The same for as long as the session lives. */
export function sessionHandleOf(sessionId: string): string {
  return `s_${createHash('sha256').update(sessionId).digest('hex').slice(0, 12)}`;
}

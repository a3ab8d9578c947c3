import type { LiveSession, SessionDirectory } from '../../src/mcp/sessions/session-directory.js';

/** Requests of all clients that wait for an answer. */
export function inFlightOf(sessions: SessionDirectory): number {
  const { entries } = sessions as unknown as { entries: Map<string, { session: LiveSession }> };
  return [...entries.values()].reduce((sum, { session }) => sum + session.inFlight, 0);
}

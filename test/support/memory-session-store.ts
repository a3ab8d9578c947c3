import { SessionStore, type StoredSession } from '../../src/mcp/sessions/session-store.js';

const DAY_MS = 24 * 3_600_000;

/** Sessions that outlive an edge, but not the test. They expire after a day. */
export class MemorySessionStore extends SessionStore {
  readonly sessions = new Map<string, StoredSession>();
  readonly touches = new Map<string, number>();

  override save(session: StoredSession, now: number): void {
    this.sessions.set(session.id, session);
    this.touches.set(session.id, now);
  }

  override find(id: string, now: number): StoredSession | undefined {
    return (this.touches.get(id) ?? 0) < now - DAY_MS ? undefined : this.sessions.get(id);
  }

  override touch(id: string, now: number): void {
    if (this.sessions.has(id)) this.touches.set(id, now);
  }

  override remove(id: string): void {
    this.sessions.delete(id);
    this.touches.delete(id);
  }
}

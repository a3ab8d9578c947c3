import type { ConversationState } from './conversation-state.js';
import type { SessionOwner } from './session-directory.js';

/** A session that can go on, whatever has become of the process that served it. */
export interface StoredSession {
  /** As the client knows it. */
  id: string;
  owner: SessionOwner;
  state: ConversationState;
}

/** Where sessions outlive the control plane. Synchronous, and fast enough to be asked about any id. */
export abstract class SessionStore {
  /** Keep it as it is now, from before its client knows that it is open. Times are milliseconds since 1970. */
  abstract save(session: StoredSession, now: number): void;

  /** Undefined: it was ended, has expired, or never was. */
  abstract find(id: string, now: number): StoredSession | undefined;

  /** It is in use. */
  abstract touch(id: string, now: number): void;

  /** It is over. */
  abstract remove(id: string): void;

  /** As `remove`, but never throws: its process has to end all the same, and what is stored expires. */
  forget(id: string, onFault: (error: unknown) => void): void {
    try {
      this.remove(id);
    } catch (error) {
      onFault(error);
    }
  }
}

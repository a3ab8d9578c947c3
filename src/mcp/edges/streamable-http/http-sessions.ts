import { SessionDirectory } from '../../sessions/session-directory.js';
import type { SessionStore } from '../../sessions/session-store.js';
import type { Upstream } from '../upstream.js';
import { HttpSession, type HttpSessionHolder } from './http-session.js';

/** The sessions of the Streamable HTTP transport: those in memory, and those that are only stored until they are used. */
export class HttpSessions {
  /** @param onFault gets what should not have happened, for the log */
  constructor(
    private readonly directory: SessionDirectory,
    private readonly store: SessionStore,
    private readonly now: () => number,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** A session whose `initialize` is about to come. Throws `session_limit`, or what kept the server from starting. */
  async open(upstream: Upstream, gone: AbortSignal): Promise<HttpSession> {
    const { owner } = upstream;
    this.directory.reserve(owner.deploymentId, upstream.maxSessions);
    try {
      const id = SessionDirectory.newId();
      const channel = await upstream.openChannel(gone, id);
      const session = new HttpSession(id, channel, this.holderOf(id, upstream));
      this.directory.add(id, owner, session);
      // It may have died while it was opened.
      if (session.session.whyClosed) this.directory.remove(id);
      return session;
    } catch (error) {
      this.directory.release(owner.deploymentId);
      throw error;
    }
  }

  /** The session if it is the owner's; brought back from the store where that has it. Using it keeps it alive. */
  find(id: string, upstream: Upstream): HttpSession | undefined {
    const session = this.directory.find(id, upstream.owner, HttpSession) ?? this.restore(id, upstream);
    if (session) this.store.touch(id, this.now());
    return session;
  }

  /** A session that answered just now is not idle, however long ago it was asked. */
  touch({ id }: HttpSession): void {
    this.directory.touch(id);
    this.store.touch(id, this.now());
  }

  /** The end of a session, for good. Resolves when nothing of it is left; never rejects. */
  end(session: HttpSession, fault?: string): Promise<void> {
    this.directory.remove(session.id);
    this.store.forget(session.id, this.onFault);
    return session.close(fault);
  }

  private restore(id: string, upstream: Upstream): HttpSession | undefined {
    const stored = this.store.find(id, this.now());
    const { owner } = upstream;
    if (
      !stored ||
      stored.owner.deploymentId !== owner.deploymentId ||
      stored.owner.principal !== owner.principal
    ) {
      return undefined;
    }
    const session = new HttpSession(id, stored.state, this.holderOf(id, upstream));
    this.directory.add(id, owner, session, false);
    return session;
  }

  private holderOf(id: string, upstream: Upstream): HttpSessionHolder {
    const { owner } = upstream;
    return {
      handshakeMs: () => upstream.handshakeMs,
      untilJoined: () => upstream.untilJoined(),
      reopen: async (signal) => {
        // Given back by `lost`, whatever becomes of it.
        this.directory.occupy(id, upstream.maxSessions);
        return upstream.openChannel(signal, id);
      },
      store: (state) => {
        try {
          this.store.save({ id, owner, state }, this.now());
          return true;
        } catch (error) {
          // The client is answered all the same: its session is as good as without a store.
          this.onFault(error);
          return false;
        }
      },
      lost: () => this.directory.vacate(id),
      closed: () => this.directory.remove(id),
    };
  }
}

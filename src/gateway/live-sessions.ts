import type { LiveSession, SessionCount, SessionKeeper } from '../deployments/session-census.js';
import type { SessionDirectory } from '../mcp/sessions/session-directory.js';
import type { SessionStore } from '../mcp/sessions/session-store.js';
import { sessionHandleOf } from './session-handle.js';
import type { UpstreamProxy } from './upstream-proxy.js';

/** The sessions of the gateway, for operators, who know them by their handles. */
export class LiveSessions implements SessionKeeper {
  /** @param onFault gets what should not have happened, for the log */
  constructor(
    private readonly directory: SessionDirectory,
    private readonly store: SessionStore,
    private readonly proxy: UpstreamProxy,
    private readonly onFault: (error: unknown) => void,
  ) {}

  count(deploymentId: string): SessionCount {
    return {
      sessions: this.directory.count(deploymentId),
      callsInFlight: this.directory.inFlight(deploymentId) + this.proxy.inFlight(deploymentId),
    };
  }

  list(deploymentId: string): LiveSession[] {
    return this.directory.list(deploymentId).map((session) => ({
      handle: sessionHandleOf(session.id),
      callsInFlight: session.inFlight,
      isConnected: session.isConnected,
      hasProcess: session.hasPlace,
      lastUsedAt: session.lastUsedAt,
    }));
  }

  async end(deploymentId: string, handle: string): Promise<boolean> {
    const session = this.directory.list(deploymentId).find(({ id }) => sessionHandleOf(id) === handle);
    if (!session) return false;
    // First, or its client could bring it back meanwhile.
    this.store.forget(session.id, this.onFault);
    await this.directory.close(session.id);
    return true;
  }
}

import type { Channel } from '../channels/channel.js';
import type { ModernUpstream } from '../modern/modern-upstream.js';
import type { SessionOwner } from '../sessions/session-directory.js';
import type { Calls } from './calls/calls.js';

/** What the edge needs to know of the deployment behind a request. */
export interface Upstream {
  owner: SessionOwner;
  /** When the request came that it was made for, which may open a connection; milliseconds of `performance.now()`. */
  readonly arrivedAt: number;
  maxSessions: number;
  maxMessageBytes: number;
  /** How long the server may take to answer `initialize`. */
  handshakeMs: number;
  /**
   * A conversation of the handshake era with a server process of its own, translated where the server does not speak it.
   * May wait for the deployment to start; throws `AppError`. `sessionId`: of the session that it is for.
   */
  openChannel(signal: AbortSignal, sessionId: string): Promise<Channel>;
  modern: ModernUpstream;
  /** True while a process runs that serves all clients, and may have something to tell one that only listens. */
  readonly isServingAll: boolean;
  /** Where that process was just started: resolves when those who listen are with it, or after a while; never rejects. */
  untilJoined(): Promise<void> | undefined;
  /** A session has its server process, and `initialize` is answered. */
  onOpened(): void;
  /** A request begins; call the result when it is answered. */
  lease(): () => void;
  /** Where requests are announced when they come. */
  calls: Calls;
}

import type { Channel } from '../channels/channel.js';
import type { ModernUpstream } from '../modern/modern-upstream.js';
import type { SessionOwner } from '../sessions/session-directory.js';

/** What the edge needs to know of the deployment behind a request. */
export interface Upstream {
  owner: SessionOwner;
  maxSessions: number;
  maxMessageBytes: number;
  /** How long the server may take to answer `initialize`. */
  handshakeMs: number;
  /**
   * A conversation of the handshake era with a server process of its own, translated where the server does not speak it.
   * May wait for the deployment to start; throws `AppError`.
   */
  openChannel(signal: AbortSignal): Promise<Channel>;
  modern: ModernUpstream;
  /** A session is open and its `initialize` answered. */
  onOpened(): void;
  /** A request begins; call the result when it is answered. */
  lease(): () => void;
}

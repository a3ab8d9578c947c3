import type { EdgeName } from '../calls/call.js';

/** Why a conversation is over, for each transport to say in its own way. */
export interface ConnectionEnd {
  /**
   * `completed`: nobody did wrong · `going_away`: the deployment or the service stops · `policy`: the client broke a
   * rule · `server_failed`: the server exited, or broke one.
   */
  cause: 'completed' | 'going_away' | 'policy' | 'server_failed';
  /** For a person. */
  message: string;
}

/** The connection that a client's session lives and dies with. */
export interface ClientConnection {
  readonly edge: EdgeName;
  /** True while what is sent may reach the client. */
  readonly open: boolean;
  /** Send one message. A promise asks the sender to wait until the client has read enough; it never rejects. */
  send(text: string): Promise<void> | undefined;
  /** Close behind what was sent, and say why. Idempotent; a client that does not read cannot hold it up for ever. */
  end(why: ConnectionEnd): void;
}

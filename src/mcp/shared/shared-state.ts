import type { Backlog } from './backlog.js';
import type { ElicitationIds } from './elicitation-ids.js';
import type { LogLevels } from './log-levels.js';
import type { Outbox } from './outbox.js';
import type { ServerRequests } from './server-requests.js';
import type { SharedHandshake } from './shared-handshake.js';
import type { SharedRequests } from './shared-requests.js';
import type { Subscriptions } from './subscriptions.js';
import type { VirtualChannel } from './virtual-channel.js';

/** What is known of one server process and its sessions. */
export interface SharedState {
  /** Those that are open. */
  readonly sessions: ReadonlySet<VirtualChannel>;
  readonly handshake: SharedHandshake;
  readonly requests: SharedRequests;
  readonly serverRequests: ServerRequests;
  readonly subscriptions: Subscriptions;
  readonly logLevels: LogLevels;
  readonly elicitations: ElicitationIds;
  readonly outbox: Outbox;
  readonly backlog: Backlog;
}

import type { ChannelClosed } from '../channels/channel.js';

/** Where messages for the client go: the answer to one HTTP request, a stream, a socket. */
export interface Outlet {
  /** True while something other than the final answer would reach the client here. */
  readonly open: boolean;
  /**
   * Take one message. `last`: it answers the request this outlet was opened for. A promise asks the sender to wait
   * until the client has read enough; it never rejects.
   */
  deliver(text: string, last: boolean): Promise<void> | undefined;

  /** The server went away before it answered. Absent: an error is delivered that says so. */
  lost?(why: ChannelClosed): void;
}

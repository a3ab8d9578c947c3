import type { Envelope } from '../jsonrpc/envelope.js';

export interface ChannelHandlers {
  /** One message of the server. A promise holds back the next one until it settles (back-pressure). */
  message(message: Envelope): Promise<void> | undefined;
  /** The conversation is over; the last call. */
  closed(why: ChannelClosed): void;
}

export interface ChannelClosed {
  /** `ended`: we closed it. `exited`: the server went away by itself. `violated`: it broke the protocol's limits. */
  cause: 'ended' | 'exited' | 'violated';
  /** For a person, with the server's last words on stderr where there are any. */
  message: string;
}

/** One conversation with one MCP server. */
export abstract class Channel {
  /** Start to receive. What came before is delivered first. */
  abstract open(handlers: ChannelHandlers): void;

  /** Hand a message to the server; resolves when there is room for the next. Throws when the channel is closed. */
  abstract send(text: string): Promise<void> | undefined;

  /** The server's last lines on stderr, or whatever else it left for a person to read. */
  abstract readonly lastWords: string;

  /** Undefined while it is open. */
  abstract readonly whyClosed: ChannelClosed | undefined;

  /**
   * End the conversation and whatever stands behind it. Idempotent; resolves when nothing of it is left; never rejects.
   * `fault` says what the server did wrong, where it did.
   */
  abstract close(fault?: string): Promise<void>;
}

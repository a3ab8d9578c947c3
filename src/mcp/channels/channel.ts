import type { Envelope } from '../jsonrpc/envelope.js';

/**
 * What a message of the server is about, as far as its transport tells: our id of a request, as JSON text; `null`: none
 * of them; undefined: it does not tell.
 */
export type Origin = string | null | undefined;

export interface ChannelHandlers {
  /** One message of the server. A promise holds back the next one until it settles (back-pressure). */
  message(message: Envelope, origin?: Origin): Promise<void> | undefined;
  /** The conversation is over; the last call. */
  closed(why: ChannelClosed): void;
}

export interface ChannelClosed {
  /**
   * `ended`: we closed it. `stopped`: we stopped the server, and the conversation may go on with another process.
   * `exited`: the server went away by itself. `violated`: it broke the protocol's limits.
   */
  cause: 'ended' | 'stopped' | 'exited' | 'violated';
  /** For a person, with the server's last words on stderr where there are any. */
  message: string;
}

/** One conversation with one MCP server. */
export abstract class Channel {
  /** Start to receive. What came before is delivered first. */
  abstract open(handlers: ChannelHandlers): void;

  /** Hand a message to the server; resolves when there is room for the next. Throws when the channel is closed. */
  abstract send(text: string): Promise<void> | undefined;

  /**
   * Once the conversation has begun: resolves when what the server says unasked reaches us, or it has no way to; undefined:
   * it does already. Never rejects, but may take for ever with a server that does not answer.
   */
  untilHeard(): Promise<void> | undefined {
    return undefined;
  }

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

import { Channel, type ChannelClosed, type ChannelHandlers } from '../mcp/channels/channel.js';

/** A server that lived for so long was no failed start. */
const LONG_LIFE_MS = 10_000;
/** What a server is told before it can work, and told again when it is started again: near the start of the message. */
const SET_UP = /"method":"(?:initialize|ping|logging\/setLevel|resources\/subscribe)"/;
const METHOD_CHARS = 100;

export interface ChannelWatch {
  /** The server did something for a client, which it does often, or has run for a while. */
  worked(): void;
  /** It ended by itself, or broke the protocol's limits. */
  crashed(why: ChannelClosed): void;
}

/** A channel as it is, and somebody who learns how its server fares. */
export class WatchedChannel extends Channel {
  private readonly startedAt = Date.now();
  private answers = 0;
  /** Answers that are no work; the first is the handshake's, or tells which era the server speaks. */
  private setUps = 0;

  constructor(
    private readonly inner: Channel,
    private readonly watch: ChannelWatch,
  ) {
    super();
  }

  get whyClosed(): ChannelClosed | undefined {
    return this.inner.whyClosed;
  }

  get lastWords(): string {
    return this.inner.lastWords;
  }

  open(handlers: ChannelHandlers): void {
    this.inner.open({
      message: (message, origin) => {
        if (message.kind === 'response' && ++this.answers > Math.max(this.setUps, 1)) this.watch.worked();
        return handlers.message(message, origin);
      },
      closed: (why) => {
        if (this.answers <= Math.max(this.setUps, 1) && Date.now() - this.startedAt >= LONG_LIFE_MS)
          this.watch.worked();
        if (why.cause === 'exited' || why.cause === 'violated') this.watch.crashed(why);
        handlers.closed(why);
      },
    });
  }

  send(text: string): Promise<void> | undefined {
    if (SET_UP.test(text.slice(0, METHOD_CHARS))) this.setUps++;
    return this.inner.send(text);
  }

  override untilHeard(): Promise<void> | undefined {
    return this.inner.untilHeard();
  }

  close(fault?: string): Promise<void> {
    return this.inner.close(fault);
  }
}

import type { Channel } from '../channels/channel.js';

/** Characters of messages that nobody waits for; a server that leaves so many unread reads nothing. */
const MAX_UNOWNED_CHARS = 4 * 1024 * 1024;

interface Waiting {
  text: string;
  owner: object | undefined;
  taken: () => void;
}

/**
 * The way to a server's stdin. While that is full, messages wait here and not in the channel, so that those of a session
 * that leaves go with it: a server that has stopped reading must not make us keep what a thousand clients once sent.
 */
export class Outbox {
  private waiting: Waiting[] = [];
  private unownedChars = 0;
  private full = false;

  constructor(
    private readonly channel: Channel,
    private readonly onUnread: () => void,
  ) {}

  /** Settles when there is room for the owner's next message, or the owner has left. */
  send(text: string, owner?: object): Promise<void> | undefined {
    if (this.channel.whyClosed) return undefined;
    if (!this.full) {
      const sent = this.channel.send(text);
      if (sent) void this.sendRestAfter(sent);
      return sent;
    }
    if (!owner) this.unownedChars += text.length;
    const taken = new Promise<void>((resolve) => this.waiting.push({ text, owner, taken: resolve }));
    if (this.unownedChars > MAX_UNOWNED_CHARS) this.onUnread();
    return taken;
  }

  /** Forget what an owner has not got rid of. */
  drop(owner: object): void {
    const dropped = this.waiting.filter((message) => message.owner === owner);
    this.waiting = this.waiting.filter((message) => message.owner !== owner);
    for (const { taken } of dropped) taken();
  }

  /** The channel is closed: nobody waits any longer. */
  close(): void {
    const all = this.waiting;
    this.waiting = [];
    for (const { taken } of all) taken();
  }

  private async sendRestAfter(sent: Promise<void>): Promise<void> {
    this.full = true;
    await sent;
    for (;;) {
      const next = this.channel.whyClosed ? undefined : this.waiting.shift();
      if (!next) break;
      if (!next.owner) this.unownedChars -= next.text.length;
      await this.channel.send(next.text);
      next.taken();
    }
    this.full = false;
  }
}

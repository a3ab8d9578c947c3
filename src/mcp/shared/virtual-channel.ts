import { Channel, type ChannelClosed, type ChannelHandlers } from '../channels/channel.js';
import { type Envelope, parseMessage } from '../jsonrpc/envelope.js';
import type { ClientCapabilities } from '../translation/asked-capability.js';
import type { Backlog, Laggard } from './backlog.js';

/** The server behind a virtual channel. */
export interface SharedProcess {
  readonly backlog: Backlog;
  /** The process's last words, where this session may know them. */
  readonly lastWords: string;
  fromClient(session: VirtualChannel, message: Envelope): Promise<void> | undefined;
  /** Called once. */
  left(session: VirtualChannel): void;
}

/** One session's conversation with a server process that has others as well. It looks like a process of its own. */
export class VirtualChannel extends Channel implements Laggard {
  /** `waiting`: its initialize is not answered yet. `ready`: it has said something since. */
  state: 'new' | 'waiting' | 'shaken' | 'ready' = 'new';
  /** What its client declared. */
  capabilities: ClientCapabilities = {};
  private handlers: ChannelHandlers | undefined;
  private readonly queue: Envelope[] = [];
  private delivering = false;
  private closed: ChannelClosed | undefined;
  /** Set when nothing more will come; closed once what came before is delivered. */
  private last: ChannelClosed | undefined;

  constructor(private readonly server: SharedProcess) {
    super();
  }

  get whyClosed(): ChannelClosed | undefined {
    return this.closed;
  }

  get lastWords(): string {
    return this.server.lastWords;
  }

  open(handlers: ChannelHandlers): void {
    this.handlers = handlers;
    if (this.closed) handlers.closed(this.closed);
    else this.goOn();
  }

  send(text: string): Promise<void> | undefined {
    if (this.closed) throw new Error(this.closed.message);
    // Nobody reads it any more, which `closed` is about to say.
    return this.last ? undefined : this.server.fromClient(this, parseMessage(text));
  }

  /** Ends this session; the process and its other sessions go on. */
  close(fault?: string): Promise<void> {
    this.finish(
      fault === undefined
        ? { cause: 'ended', message: 'The session has ended' }
        : { cause: 'violated', message: fault },
    );
    return Promise.resolve();
  }

  giveUp(reason: string): void {
    this.finish({ cause: 'ended', message: reason });
  }

  /** Hand a message to the session, behind those that it has not taken yet. */
  deliver(message: Envelope): void {
    if (this.closed || this.last) return;
    if (this.handlers && !this.delivering) {
      this.handOver(message, this.handlers);
      this.goOn();
      return;
    }
    this.queue.push(message);
    this.server.backlog.add(this, message.text.length);
  }

  /** The answer to a request of the session, as JSON text of ours. */
  reply(text: string): void {
    this.deliver(parseMessage(text));
  }

  /** The process is gone. What it said before is delivered first. */
  processGone(why: ChannelClosed): void {
    this.last = why;
    this.goOn();
  }

  private goOn(): void {
    while (!this.delivering && !this.closed) {
      const next = this.handlers && this.queue.shift();
      if (!next || !this.handlers) {
        if (this.last) this.finish(this.last);
        return;
      }
      this.server.backlog.remove(this, next.text.length);
      this.handOver(next, this.handlers);
    }
  }

  private handOver(message: Envelope, handlers: ChannelHandlers): void {
    this.delivering = true;
    try {
      const delivery = handlers.message(message);
      if (delivery) void this.goOnAfter(delivery);
      else this.delivering = false;
    } catch (error) {
      this.fail(error);
    }
  }

  private async goOnAfter(delivery: Promise<void>): Promise<void> {
    try {
      await delivery;
    } catch (error) {
      this.fail(error);
    }
    this.delivering = false;
    this.goOn();
  }

  /** What goes wrong with one session must not reach the others. */
  private fail(error: unknown): void {
    this.delivering = false;
    void this.close(`A message of the server could not be handled: ${String(error)}`);
  }

  private finish(why: ChannelClosed): void {
    if (this.closed) return;
    this.closed = why;
    this.queue.length = 0;
    this.server.backlog.forget(this);
    this.server.left(this);
    this.handlers?.closed(why);
  }
}

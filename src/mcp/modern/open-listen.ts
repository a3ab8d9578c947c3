import type { ChannelClosed } from '../channels/channel.js';
import { errorText } from '../jsonrpc/json-rpc.js';
import { closedError } from '../sessions/closed-error.js';
import type { Outlet } from '../sessions/outlet.js';
import type { ModernRequest } from './modern-request.js';
import type { Relayed } from './modern-server.js';

const ACKNOWLEDGED = '"notifications/subscriptions/acknowledged"';

/** A `subscriptions/listen` whose client stays while server processes come and go: each next one is asked again. */
export class OpenListen implements Outlet {
  private isAcknowledged = false;
  private hasAgreed = Promise.resolve();
  private agree: (() => void) | undefined;
  private relayed: Relayed | undefined;

  /** @param onLost called each time the server is gone; the result says whether another is waited for */
  constructor(
    readonly request: ModernRequest,
    private readonly outlet: Outlet,
    private readonly onLost: (listen: OpenListen) => boolean,
  ) {}

  get open(): boolean {
    return this.outlet.open;
  }

  deliver(text: string, last: boolean): Promise<void> | undefined {
    if (last) this.agree?.();
    const isAcknowledgement = !last && text.length < 10_000 && text.includes(ACKNOWLEDGED);
    if (isAcknowledgement) this.agree?.();
    // What the next process acknowledges, the client was told when it asked.
    if (isAcknowledgement && this.isAcknowledged) return undefined;
    this.isAcknowledged ||= isAcknowledgement;
    return this.outlet.deliver(text, last);
  }

  lost(why: ChannelClosed): void {
    this.relayed = undefined;
    this.agree?.();
    if (!this.isAcknowledged || !this.outlet.open || !this.onLost(this)) this.end(why);
  }

  /** A server is about to be asked. */
  begin(): void {
    this.hasAgreed = new Promise((resolve) => {
      this.agree = resolve;
    });
  }

  /** A server has been asked. */
  follow(relayed: Relayed): void {
    this.relayed = relayed;
  }

  /** Resolves when the server that was asked last has agreed, or is gone. */
  untilAgreed(): Promise<void> {
    return this.hasAgreed;
  }

  /** The client does not listen any more. */
  cancel(): void {
    this.agree?.();
    this.relayed?.cancel();
  }

  end(why: ChannelClosed): void {
    this.agree?.();
    void this.outlet.deliver(errorText(this.request.message.rawId, closedError(why)), true);
  }
}

import type { ModernServer } from './modern-server.js';
import { LISTEN, type ModernRequest } from './modern-request.js';
import type { ParkedCalls } from './modern-upstream.js';
import { ToolHeaders } from './tool-headers.js';

/** A server process that is kept for a principal's requests. */
export class WarmServer {
  readonly toolHeaders = new ToolHeaders();
  server: ModernServer | undefined;
  parked: ParkedCalls | undefined;
  /** Settles when `server` is there; rejects with the reason why it is not. */
  opening: Promise<ModernServer> | undefined;
  /** False: no request has asked for it, it is only to tell those who listen already. */
  isForRequest = false;
  /** Aborted when `server`, still to come, is not needed any more. */
  readonly unwanted = new AbortController();
  /** Settles when it has agreed to what its principal listened to before, or after a while; never rejects. */
  agreed: Promise<void> | undefined;
  idleTimer: NodeJS.Timeout | undefined;
  /** Requests that it has to answer. */
  uses = 0;
  private calls = 0;
  private listens = 0;
  private isTaken = false;

  /** @param id its place in the session directory */
  constructor(
    readonly id: string,
    readonly native: boolean,
  ) {}

  /** Of what somebody waits for. */
  get inFlight(): number {
    return this.uses - this.listens + (this.parked?.parkedCalls ?? 0);
  }

  /**
   * Whether it can take a request such that what the server says without naming a request has one possible origin: log
   * messages always, and the questions of a translated server, which then serves one call that can be asked at a time.
   */
  hasRoomFor(request: ModernRequest): boolean {
    if (!request.isCall) return true;
    const isParked = (this.parked?.parkedCalls ?? 0) > 0;
    if (this.wantsAlone(request)) return !this.isTaken && !isParked && this.calls === 0;
    // A call that cannot be asked does not harm one that waits for its client: of two, the server is refused.
    return this.native || !this.isTaken;
  }

  holds(requestState: string): boolean {
    return this.parked?.holds(requestState) ?? false;
  }

  /** Take a request; call the result, once or more often, when it is answered or given up. */
  use(request: ModernRequest): () => void {
    const isAlone = request.isCall && this.wantsAlone(request);
    const isListen = request.message.method === LISTEN;
    this.uses++;
    if (isListen) this.listens++;
    if (request.isCall && !this.native) this.calls++;
    if (isAlone) this.isTaken = true;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.uses--;
      if (isListen) this.listens--;
      if (request.isCall && !this.native) this.calls--;
      if (isAlone) this.isTaken = false;
    };
  }

  private wantsAlone({ canBeAsked, logLevel }: ModernRequest): boolean {
    return logLevel !== undefined || (canBeAsked && !this.native);
  }
}

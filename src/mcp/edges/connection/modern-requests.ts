import { AppError } from '../../../errors/app-error.js';
import type { Request } from '../../jsonrpc/envelope.js';
import { checkModernRequest } from '../../modern/modern-checks.js';
import { LISTEN } from '../../modern/modern-request.js';
import type { WarmServers } from '../../modern/warm-servers.js';
import type { Outlet } from '../../sessions/outlet.js';
import type { Call } from '../calls/call.js';
import { watchedOutlet } from '../calls/watched-outlet.js';
import { EdgeError, rpcErrorText } from '../http/http-reply.js';
import type { Upstream } from '../upstream.js';
import type { ClientConnection } from './client-connection.js';

interface OpenRequest {
  rawId: string;
  isListen: boolean;
  gone: AbortController;
}

/**
 * Requests of the modern era on a connection. Each stands for itself, as over HTTP, but for the headers, which such a
 * transport has not; a client that leaves cancels them all.
 */
export class ModernRequests {
  private readonly all = new Set<OpenRequest>();

  constructor(
    private readonly servers: WarmServers,
    private readonly connection: ClientConnection,
    private readonly upstream: Upstream,
  ) {}

  get inFlight(): number {
    return [...this.all].filter(({ isListen }) => !isListen).length;
  }

  /** Relay one; settles when the server has taken it, or the client was told why not. Throws what is a fault. */
  async request(message: Request, call: Call): Promise<void> {
    const isListen = message.method === LISTEN;
    const request: OpenRequest = { rawId: message.rawId, isListen, gone: new AbortController() };
    const release = isListen ? undefined : this.upstream.lease();
    const done = (): void => {
      call.cancelled();
      this.all.delete(request);
      release?.();
    };
    this.all.add(request);
    const { signal } = request.gone;
    signal.addEventListener('abort', done, { once: true });
    try {
      const modern = checkModernRequest(message, undefined);
      const outlet = watchedOutlet(this.outletFor(request, done), call);
      const relayed = await this.servers.request(modern, outlet, this.upstream, undefined, signal);
      if (signal.aborted) relayed.cancel();
      else signal.addEventListener('abort', () => relayed.cancel(), { once: true });
      await relayed.sent;
    } catch (error) {
      if (!signal.aborted) call.refused(error);
      done();
      // Whom nobody waits for any more need not be told.
      if (signal.aborted) return;
      if (!(error instanceof EdgeError) && !(error instanceof AppError)) throw error;
      await this.connection.send(rpcErrorText(error, message.rawId));
    }
  }

  /** The client does not want the answer to a request any more. Unknown ids are fine: the answer may be on its way. */
  cancel(rawId: string): void {
    for (const request of this.all) if (request.rawId === rawId) request.gone.abort();
  }

  cancelAll(): void {
    for (const request of this.all) request.gone.abort();
  }

  private outletFor(request: OpenRequest, done: () => void): Outlet {
    const { connection, all } = this;
    return {
      get open() {
        return connection.open && all.has(request);
      },
      deliver: (text, last) => {
        if (!all.has(request)) return undefined;
        if (last) done();
        return connection.send(text);
      },
    };
  }
}

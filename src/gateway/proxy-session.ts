import type { HttpEndpoint } from '../mcp/channels/http-endpoint.js';
import { ask, discard } from '../mcp/channels/http-exchange.js';
import type { Closable } from '../mcp/sessions/session-directory.js';

const GOODBYE_MS = 2000;

/** A session that the server itself manages: we know its id there, the client knows one of ours. */
export class ProxySession implements Closable {
  inFlight = 0;
  /** Streams that its client listens to. */
  listening = 0;
  /** As the client last named it; undefined before it did. */
  revision: string | undefined;
  private readonly over = new AbortController();

  constructor(
    private readonly endpoint: HttpEndpoint,
    /** The server's own id of the session; it never reaches the client. */
    readonly upstreamId: string,
  ) {}

  get connected(): boolean {
    return this.listening > 0;
  }

  /** The server has ended it, or was told to. */
  markEnded(): void {
    this.over.abort();
  }

  /** Calls back when the server's process goes before the session has ended. */
  whenGone(remove: () => void): void {
    const { gone } = this.endpoint;
    if (gone.aborted) remove();
    else gone.addEventListener('abort', remove, { once: true, signal: this.over.signal });
  }

  /** Tell the server that it is over; bounded, never rejects. */
  async close(): Promise<void> {
    if (this.over.signal.aborted || this.endpoint.gone.aborted) return;
    this.over.abort();
    const headers = {
      'mcp-session-id': this.upstreamId,
      ...(this.revision !== undefined && { 'mcp-protocol-version': this.revision }),
    };
    try {
      discard(
        await ask(this.endpoint, { method: 'DELETE', headers }, AbortSignal.timeout(GOODBYE_MS)).response,
      );
    } catch {
      // A server that has no DELETE, or is in trouble, forgets the session in its own time.
    }
  }
}

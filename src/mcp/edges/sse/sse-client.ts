import type { ServerResponse } from 'node:http';
import type { ClientConnection } from '../connection/client-connection.js';
import { untilTaken } from '../http/back-pressure.js';
import { SseConnection } from '../http/sse-connection.js';

/** A client that listens to an event stream and posts its own messages to the address it was told. */
export class SseClient implements ClientConnection {
  readonly edge = 'sse';
  private readonly stream: SseConnection;

  /** @param endpoint where the client posts, relative to the address of the stream */
  constructor(
    private readonly res: ServerResponse,
    endpoint: string,
  ) {
    this.stream = new SseConnection(res);
    void this.stream.event(undefined, endpoint, 'endpoint');
  }

  get open(): boolean {
    return !this.stream.closed;
  }

  send(text: string): Promise<void> | undefined {
    return this.stream.event(undefined, text);
  }

  /** The transport has no word for a reason; what there is to say was sent as a JSON-RPC error. */
  end(): void {
    this.stream.end();
    // One that does not read what is left of the stream is cut off.
    if (!this.res.closed) void untilTaken(this.res);
  }
}

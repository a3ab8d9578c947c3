import type { Duplex } from 'node:stream';

/** A client has nothing to say before it is upgraded; some do, and that little is kept. */
const MAX_EARLY_BYTES = 64 * 1024;

/** A client that waits for its upgrade: nobody else notices when it leaves, or reads what it sends too early. */
export class WaitingClient {
  private readonly gone = new AbortController();
  private readonly early: Buffer[];
  private bytes: number;

  constructor(
    private readonly socket: Duplex,
    head: Buffer,
  ) {
    this.early = [head];
    this.bytes = head.length;
    // Stays for good: an error that nobody listens to would end the process.
    socket.on('error', () => undefined);
    socket.on('data', this.keep).on('end', this.leave).on('close', this.leave);
    if (socket.destroyed) this.leave();
  }

  get left(): AbortSignal {
    return this.gone.signal;
  }

  /** Let go of the socket. What the client has said, to be read at once by whoever goes on with it. */
  release(): Buffer {
    this.socket.off('data', this.keep).off('end', this.leave).off('close', this.leave);
    return Buffer.concat(this.early);
  }

  private readonly keep = (chunk: Buffer): void => {
    this.bytes += chunk.length;
    this.early.push(chunk);
    if (this.bytes > MAX_EARLY_BYTES) this.leave();
  };

  private readonly leave = (): void => {
    this.gone.abort();
    this.socket.destroy();
  };
}

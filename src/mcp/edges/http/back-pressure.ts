/** A client that takes nothing for so long is treated as gone. */
const STALL_MS = 30_000;

/** An HTTP answer, or a socket. */
interface Written {
  on(event: 'drain' | 'close' | 'timeout', listener: () => void): this;
  off(event: 'drain' | 'close' | 'timeout', listener: () => void): this;
  setTimeout(ms: number): unknown;
  destroy(): unknown;
}

/**
 * Settles when the client has taken what is written to it, or is gone; never rejects. The socket's own timer tells one
 * that reads slowly from one that does not read, which is cut off.
 */
export function untilTaken(out: Written): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = (): void => void out.destroy();
    const done = (): void => {
      out.off('drain', drained).off('close', done).off('timeout', cutOff);
      resolve();
    };
    const drained = (): void => {
      out.setTimeout(0);
      done();
    };
    // An answer that has ended drains no more, it closes; then the timer is the HTTP server's again.
    out.on('drain', drained).on('close', done).on('timeout', cutOff);
    out.setTimeout(STALL_MS);
  });
}

import type { ServerResponse } from 'node:http';

/** A client that takes nothing for so long is treated as gone. */
const STALL_MS = 30_000;

/**
 * Settles when the client has taken what is written to it, or is gone; never rejects. The socket's own timer tells one
 * that reads slowly from one that does not read, which is cut off.
 */
export function untilTaken(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const cutOff = (): void => void res.destroy();
    const done = (): void => {
      res.off('drain', drained).off('close', done).off('timeout', cutOff);
      resolve();
    };
    const drained = (): void => {
      res.setTimeout(0);
      done();
    };
    // An answer that has ended drains no more, it closes; then the timer is the HTTP server's again.
    res.on('drain', drained).on('close', done).on('timeout', cutOff);
    res.setTimeout(STALL_MS);
  });
}

import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Waits until the answer has the connection for itself. An answer behind others on a connection is not told when its
 * client leaves, and takes any amount of data without sending it. False: the client has left.
 */
export async function awaitTurn(req: IncomingMessage, res: ServerResponse): Promise<boolean> {
  if (!res.socket && !res.closed && !req.destroyed) {
    await new Promise<unknown>((resolve) => {
      res.once('socket', resolve);
      req.once('close', resolve);
    });
  }
  return res.socket !== null && !res.closed;
}

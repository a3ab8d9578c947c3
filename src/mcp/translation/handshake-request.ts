import { rawSlot, type Request } from '../jsonrpc/envelope.js';
import { isReserved } from './meta-keys.js';
import { changed } from './object-change.js';

/** A modern request as a handshake-era server takes it: without envelope, and under our id, which is its token too. */
export function handshakeRequest(message: Request, id: number, isCall: boolean): string {
  const hasToken = rawSlot(message, 'requestToken') !== undefined;
  return changed(message.text, {
    put: { id: String(id) },
    within: {
      params: {
        ...(isCall && { drop: (name: string) => name === 'inputResponses' || name === 'requestState' }),
        within: { _meta: { drop: isReserved, ...(hasToken && { put: { progressToken: String(id) } }) } },
      },
    },
  });
}

import type { IncomingHttpHeaders } from 'node:http';
import type { ParsedBody } from '../jsonrpc/envelope.js';
import { RPC } from '../jsonrpc/json-rpc.js';
import { isModernHeader } from './modern-checks.js';
import { ModernError } from './modern-error.js';
import { hasModernClaim } from './modern-request.js';

export type Era = 'handshake' | 'modern';

/**
 * Which era a POST belongs to: the body decides, by its claim, and the header where a body can make none. Throws
 * `ModernError` for what no era has.
 */
export function eraOf(headers: IncomingHttpHeaders, { batch, messages }: ParsedBody): Era {
  const byHeader = isModernHeader(headers);
  if (!byHeader && !messages.some(hasModernClaim)) return 'handshake';
  if (batch) throw new ModernError(400, RPC.invalidRequest, 'Invalid Request: this revision has no batches');
  if (messages[0]?.kind === 'response') {
    throw new ModernError(
      400,
      RPC.invalidRequest,
      'Invalid Request: clients of this revision send no responses',
    );
  }
  return 'modern';
}

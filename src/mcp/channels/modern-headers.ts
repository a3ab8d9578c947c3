import type { Request } from '../jsonrpc/envelope.js';
import { stringIn } from '../jsonrpc/envelope.js';
import { META, rawEnvelopeOf, readModernRequest } from '../modern/modern-request.js';

/** The headers that a request of revision 2026-07-28 repeats itself in (basic/transports, Streamable HTTP). */
export function modernHeaders(message: Request): Record<string, string> {
  const envelope = rawEnvelopeOf(message);
  const { name } = readModernRequest(message, envelope);
  return {
    'mcp-protocol-version': encodeHeaderValue(stringIn(envelope[META.protocolVersion]) ?? ''),
    'mcp-method': encodeHeaderValue(message.method),
    ...(name !== undefined && { 'mcp-name': encodeHeaderValue(name) }),
  };
}

/** As it is where a header can hold it, else as `=?base64?…?=`. */
export function encodeHeaderValue(value: string): string {
  const plain = /^[\t\x20-\x7e]+$/.test(value) && value === value.trim() && !value.startsWith('=?base64?');
  return plain ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}

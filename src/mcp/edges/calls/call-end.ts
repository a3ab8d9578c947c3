import { type Envelope, parseMessage, rawMembers } from '../../jsonrpc/envelope.js';

export const CALL_OUTCOMES = ['ok', 'tool_error', 'error', 'refused', 'cancelled'] as const;

/**
 * How a call ended. `tool_error`: the tool says that it failed · `error`: a JSON-RPC error, the server's or one that says
 * why it did not answer · `refused`: no server was asked · `cancelled`: nobody waits for the answer any more.
 */
export interface CallEnd {
  outcome: (typeof CALL_OUTCOMES)[number];
  /** A JSON-RPC or HTTP code, or one of our error codes; for a person, and never what a stranger wrote. */
  reason?: string;
}

/** What is longer is a result: no error says so much. */
const MAX_READ_CHARS = 65_536;
const OK: CallEnd = { outcome: 'ok' };
const CODE = /^-?\d{1,10}$/;

/** What an answer, as JSON text, says of the end of its call. Never throws: the answer has to go on, whatever it is. */
export function endOfAnswer(method: string, text: string): CallEnd {
  if (text.length > MAX_READ_CHARS) return OK;
  const mayBeError = text.includes('"error"');
  const mayBeToolError = method === 'tools/call' && text.includes('"isError"');
  if (!mayBeError && !mayBeToolError) return OK;
  const message = messageIn(text);
  if (message?.kind !== 'response') return OK;
  if (message.error) {
    const { code = '' } = rawMembers(message, message.error, ['code']);
    return { outcome: 'error', ...(CODE.test(code) && { reason: code }) };
  }
  const { isError } = rawMembers(message, message.result, ['isError']);
  return mayBeToolError && isError === 'true' ? { outcome: 'tool_error' } : OK;
}

function messageIn(text: string): Envelope | undefined {
  try {
    return parseMessage(text);
  } catch {
    return undefined;
  }
}

/** Of an answer that passes unread. */
export function endOfStatus(status: number): CallEnd {
  return status < 400 ? OK : { outcome: 'error', reason: String(status) };
}

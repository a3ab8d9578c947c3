import { WebSocket } from 'ws';

/** Close codes of RFC 6455 section 7.4, as far as we send them. */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  unsupportedData: 1003,
  policy: 1008,
  tooBig: 1009,
  internalError: 1011,
  tryAgainLater: 1013,
} as const;

/** A close frame has room for so much text. */
const MAX_REASON_BYTES = 123;

/** The beginning of a text that fits into a close frame, whole characters only. */
export function closeReason(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= MAX_REASON_BYTES) return text;
  let end = MAX_REASON_BYTES;
  // The first byte that is left out must begin a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/** What `ws` finds by itself, and closes with a code alone. */
const REASONS: Record<number, string> = {
  1002: 'The frame breaks the WebSocket protocol',
  1007: 'The text is not valid UTF-8',
  1008: 'The message has too many fragments',
  1009: 'The message is too big',
};

/** Says why whenever it closes. */
export class ReasonedWebSocket extends WebSocket {
  override close(code?: number, reason?: string | Buffer): void {
    super.close(code, reason ?? (code === undefined ? undefined : REASONS[code]));
  }
}

import { type Envelope, type Slot, withSlots } from '../jsonrpc/envelope.js';
import type { TextRange } from '../jsonrpc/json-scanner.js';

/** `withSlots` as a message again: where things stand is reckoned, not read once more. */
export function readdressed<Message extends Envelope>(
  message: Message,
  changes: Partial<Record<Slot, string>>,
): Message {
  const shifts = (Object.keys(changes) as Slot[]).flatMap((slot) => {
    const range = message.slots[slot];
    return range ? [{ at: range.end, by: (changes[slot] ?? 'null').length - (range.end - range.start) }] : [];
  });
  const place = (at: number): number =>
    shifts.reduce((moved, shift) => (shift.at <= at ? moved + shift.by : moved), at);
  const moved = ({ start, end }: TextRange): TextRange => ({ start: place(start), end: place(end) });

  const changed: Message = { ...message, text: withSlots(message, changes), slots: {} };
  for (const [slot, range] of Object.entries(message.slots)) changed.slots[slot as Slot] = moved(range);
  if (changed.kind !== 'notification' && changes.id !== undefined) changed.rawId = changes.id;
  if (changed.kind === 'response') {
    if (changed.result) changed.result = moved(changed.result);
    if (changed.error) changed.error = moved(changed.error);
  }
  return changed;
}

import { isUtf8 } from 'node:buffer';
import { ByteBuffer } from './byte-buffer.js';

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const BLANK = 0x20;
const BYTE_ORDER_MARK = Buffer.from('\ufeff');
/** What goes back to the server in a header has to fit into one. */
const RESUMABLE_ID = /^[\x20-\x7e]{1,1024}$/;
const MAX_TYPE_BYTES = 64;
const MAX_RETRY_DIGITS = 8;

export interface SseEvent {
  /** `message` where the server names none. */
  type: string;
  data: string;
  /** The id to resume behind; the one of an earlier event where this one has none. */
  id: string | undefined;
}

/** Thrown by `push`. The parser must not be used any more. */
export class SseError extends Error {
  override name = 'SseError';
}

/**
 * Reads text/event-stream (WHATWG HTML, 9.2.6) from bytes that may be cut anywhere. Lines and events are bounded. Events
 * without data are reported too: their id says where to resume.
 */
export class SseParser {
  /** How long the server asks to wait before the next connection. */
  retryMs: number | undefined;
  private readonly line = new ByteBuffer();
  private readonly data = new ByteBuffer();
  private hasData = false;
  private hasId = false;
  private type = '';
  private id: string | undefined;
  private afterCr = false;
  private atStart = true;

  constructor(private readonly maxEventBytes: number) {}

  /** Bytes of an event whose end has not come. */
  get heldBytes(): number {
    return this.line.length + this.data.length;
  }

  push(chunk: Buffer): SseEvent[] {
    const events: SseEvent[] = [];
    let start = this.afterCr && chunk[0] === LF ? 1 : 0;
    if (chunk.length > 0) this.afterCr = false;
    // Each is searched for once: a stream without CR must not be scanned for it line by line.
    let lf = chunk.indexOf(LF, start);
    let cr = chunk.indexOf(CR, start);
    while (lf !== -1 || cr !== -1) {
      const end = lf === -1 || (cr !== -1 && cr < lf) ? cr : lf;
      const event = this.endLine(chunk.subarray(start, end));
      if (event) events.push(event);
      start = end + 1;
      if (end === cr) {
        if (start === chunk.length) this.afterCr = true;
        else if (chunk[start] === LF) start++;
      }
      if (lf !== -1 && lf < start) lf = chunk.indexOf(LF, start);
      if (cr !== -1 && cr < start) cr = chunk.indexOf(CR, start);
    }
    if (start < chunk.length) this.line.append(this.checked(chunk.subarray(start), this.heldBytes));
    return events;
  }

  private endLine(last: Buffer): SseEvent | undefined {
    this.checked(last, this.heldBytes);
    let line = last;
    if (this.line.length > 0) {
      this.line.append(last);
      line = this.line.take();
    }
    if (this.atStart) {
      this.atStart = false;
      if (line.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)) {
        line = line.subarray(BYTE_ORDER_MARK.length);
      }
    }
    if (line.length === 0) return this.endEvent();
    const colon = line.indexOf(COLON);
    // A colon at the beginning makes a comment.
    if (colon === 0) return undefined;
    const name = line.toString('latin1', 0, Math.min(colon === -1 ? line.length : colon, MAX_TYPE_BYTES));
    const value = colon === -1 ? line.subarray(line.length) : line.subarray(colon + 1);
    this.setField(name, value[0] === BLANK ? value.subarray(1) : value);
    return undefined;
  }

  private setField(name: string, value: Buffer): void {
    if (name === 'data') {
      if (this.hasData) this.data.append(Buffer.from('\n'));
      this.hasData = true;
      this.data.append(value);
    } else if (name === 'event') {
      this.type = value.toString('utf8', 0, Math.min(value.length, MAX_TYPE_BYTES));
    } else if (name === 'id') {
      const id = value.toString('latin1');
      this.hasId = true;
      this.id = RESUMABLE_ID.test(id) ? id : undefined;
    } else if (
      name === 'retry' &&
      value.length <= MAX_RETRY_DIGITS &&
      /^\d+$/.test(value.toString('latin1'))
    ) {
      this.retryMs = Number(value.toString('latin1'));
    }
  }

  private endEvent(): SseEvent | undefined {
    const complete = this.hasData || this.hasId;
    const type = this.type === '' ? 'message' : this.type;
    const bytes = this.data.take();
    this.type = '';
    this.hasData = false;
    this.hasId = false;
    if (!complete) return undefined;
    if (!isUtf8(bytes)) throw new SseError('an event that is not UTF-8');
    return { type, data: bytes.toString('utf8'), id: this.id };
  }

  private checked(part: Buffer, before: number): Buffer {
    if (before + part.length > this.maxEventBytes) {
      throw new SseError(`an event of more than ${this.maxEventBytes} bytes`);
    }
    return part;
  }
}

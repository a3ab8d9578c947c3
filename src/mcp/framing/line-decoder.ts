const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const NOTHING = Buffer.alloc(0);

/** Thrown by `push` when a line grows beyond the limit. The decoder must not be used any more. */
export class LineTooLongError extends Error {
  constructor(readonly limitBytes: number) {
    super(`A line is longer than ${limitBytes} bytes`);
    this.name = 'LineTooLongError';
  }
}

/**
 * Cuts a byte stream into newline-terminated lines, wherever the chunks were cut. Works on bytes, so that a UTF-8
 * character split between two chunks stays whole. Empty lines are skipped; a CR before the LF is dropped.
 */
export class LineDecoder {
  /** Its first `heldBytes` bytes are the beginning of a line whose end has not come. */
  private held = NOTHING;
  private heldBytes = 0;

  constructor(
    private readonly maxLineBytes: number,
    private readonly onLine: (line: Buffer) => void,
  ) {}

  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.finishLine(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start < chunk.length) this.hold(chunk.subarray(start));
  }

  /** Copies, for a list of the chunks would cost a hundred times a line that comes byte by byte. */
  private hold(part: Buffer): void {
    const bytes = this.checked(this.heldBytes + part.length);
    if (bytes > this.held.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.maxLineBytes, Math.max(2 * this.held.length, bytes)));
      this.held.copy(grown, 0, 0, this.heldBytes);
      this.held = grown;
    }
    part.copy(this.held, this.heldBytes);
    this.heldBytes = bytes;
  }

  private finishLine(last: Buffer): void {
    let line = last;
    if (this.heldBytes > 0) {
      this.hold(last);
      line = this.held.subarray(0, this.heldBytes);
      this.held = NOTHING;
      this.heldBytes = 0;
    }
    this.checked(line.length);
    if (line.at(-1) === CARRIAGE_RETURN) line = line.subarray(0, -1);
    if (line.length > 0) this.onLine(line);
  }

  private checked(bytes: number): number {
    if (bytes > this.maxLineBytes) throw new LineTooLongError(this.maxLineBytes);
    return bytes;
  }
}

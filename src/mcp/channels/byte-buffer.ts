const NOTHING = Buffer.alloc(0);

/**
 * Bytes that come in parts. Copies them, for a list of the parts would cost a hundred times what comes byte by byte.
 */
export class ByteBuffer {
  private held = NOTHING;
  private bytes = 0;

  get length(): number {
    return this.bytes;
  }

  append(part: Buffer): void {
    const bytes = this.bytes + part.length;
    if (bytes > this.held.length) {
      const grown = Buffer.allocUnsafe(Math.max(2 * this.held.length, bytes));
      this.held.copy(grown, 0, 0, this.bytes);
      this.held = grown;
    }
    part.copy(this.held, this.bytes);
    this.bytes = bytes;
  }

  /** What was appended since the last `take`. */
  take(): Buffer {
    const all = this.held.subarray(0, this.bytes);
    this.held = NOTHING;
    this.bytes = 0;
    return all;
  }
}

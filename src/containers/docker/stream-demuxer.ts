const HEADER_BYTES = 8;
const STDOUT = 1;
const STDERR = 2;
/** The engine cuts frames at 32 KB; a length beyond this is no length. */
const ABSURD_BYTES = 1 << 30;

/**
 * Takes apart the engine's multiplexed stream: frames of one byte channel, three zero bytes, four bytes length and the
 * payload. Payloads are passed on as they arrive, in slices that may end anywhere, so nothing is held back or copied.
 */
export class StreamDemuxer {
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private headerLength = 0;
  private channel = 0;
  private payloadLeft = 0;

  constructor(private readonly take: (channel: 'stdout' | 'stderr', slice: Buffer) => void) {}

  /** Throws when this is no such stream, or one out of step. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.payloadLeft === 0) {
        at += this.readHeader(chunk, at);
        continue;
      }
      const slice = chunk.subarray(at, at + this.payloadLeft);
      at += slice.length;
      this.payloadLeft -= slice.length;
      this.take(this.channel === STDOUT ? 'stdout' : 'stderr', slice);
    }
  }

  private readHeader(chunk: Buffer, at: number): number {
    const taken = chunk.copy(this.header, this.headerLength, at, at + HEADER_BYTES - this.headerLength);
    this.headerLength += taken;
    if (this.headerLength < HEADER_BYTES) return taken;
    this.headerLength = 0;
    this.channel = this.header.readUInt8(0);
    this.payloadLeft = this.header.readUInt32BE(4);
    const known = this.channel === STDOUT || this.channel === STDERR;
    if (!known || this.header.readUIntBE(1, 3) !== 0 || this.payloadLeft > ABSURD_BYTES) {
      throw new Error(`not a frame of the engine's stream: ${this.header.toString('latin1')}`);
    }
    return taken;
  }
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Longest line that is kept, in bytes of UTF-8. */
export const MAX_LINE_BYTES = 8192;

const MOST_PARTS = 64;
const CUT = `… [cut: longer than ${MAX_LINE_BYTES} bytes]`;

/** A line as it came, and whether its end was cut off. */
export interface RawLine {
  bytes: Buffer;
  isCut: boolean;
}

/** Where the lines of a stream go. */
export interface LineTaker {
  /** False: no more of what came together with it. */
  take(line: RawLine): boolean;
  /** So many lines were not given, because they were not wanted. */
  skipped(lines: number): void;
}

/** Takes a stream apart into lines. Holds no more than one line of the longest kind, however long lines are. */
export class LineSplitter {
  /** The beginning of a line whose end has not come. */
  private rest: Buffer[] = [];
  private restBytes = 0;
  /** The line was given already, cut; what comes of it until its end is not kept. */
  private isSkipping = false;

  constructor(private readonly taker: LineTaker) {}

  push(chunk: Buffer): void {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const isTaken = this.add(chunk.subarray(from, end));
      // In any case: the line ends here.
      const isWanted = this.endLine() && isTaken;
      from = isWanted ? end + 1 : this.skip(chunk, end + 1);
    }
    // A copy: chunks are far larger than what is held of them.
    if (from < chunk.length) this.add(Buffer.from(chunk.subarray(from, from + MAX_LINE_BYTES + 1)));
  }

  /** What has come of a line that will not end. */
  finish(): void {
    if (this.restBytes > 0) this.endLine();
    this.isSkipping = false;
  }

  /** Behind the last line that ends in this chunk. Counting is cheap, and a flood is mostly that. */
  private skip(chunk: Buffer, from: number): number {
    const end = Math.max(from, chunk.lastIndexOf(NEWLINE) + 1);
    let lines = 0;
    for (let at = from; at < end; at++) if (chunk[at] === NEWLINE) lines++;
    this.taker.skipped(lines);
    return end;
  }

  private add(part: Buffer): boolean {
    if (this.isSkipping) return true;
    this.rest.push(part);
    this.restBytes += part.length;
    // Of a server that writes letter by letter.
    if (this.rest.length > MOST_PARTS) this.rest = [Buffer.concat(this.rest)];
    if (this.restBytes <= MAX_LINE_BYTES) return true;
    // At once: the end of an endless line never comes.
    const bytes = Buffer.concat(this.rest).subarray(0, MAX_LINE_BYTES);
    this.clear();
    this.isSkipping = true;
    return this.taker.take({ bytes, isCut: true });
  }

  private endLine(): boolean {
    const { rest, isSkipping } = this;
    this.isSkipping = false;
    if (isSkipping) return true;
    this.clear();
    const [only = Buffer.alloc(0), ...others] = rest;
    const bytes = others.length === 0 ? only : Buffer.concat(rest);
    return this.taker.take({
      bytes: bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes,
      isCut: false,
    });
  }

  private clear(): void {
    this.rest = [];
    this.restBytes = 0;
  }
}

/** What is no UTF-8 becomes U+FFFD. */
export function textOf({ bytes, isCut }: RawLine): string {
  const text = bytes.toString('utf8');
  // The cut may have gone through a character.
  return isCut ? text.replace(/\uFFFD$/, '') + CUT : text;
}

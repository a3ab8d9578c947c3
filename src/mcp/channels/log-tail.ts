import { StringDecoder } from 'node:string_decoder';

const MAX_LINES = 20;
const MAX_LINE_CHARS = 500;

/** The last lines of a stream that has no limits of its own. */
export class LogTail {
  private readonly decoder = new StringDecoder('utf8');
  private lines: string[] = [];
  private rest = '';

  push(chunk: Buffer): void {
    const lines = (this.rest + this.decoder.write(chunk)).split('\n');
    this.rest = (lines.pop() ?? '').slice(0, MAX_LINE_CHARS);
    this.add(lines);
  }

  private add(lines: string[]): void {
    const kept = lines
      .filter((line) => line.trim() !== '')
      .slice(-MAX_LINES)
      // Copies, because a slice would keep the chunk that it was cut from.
      .map((line) => Buffer.from(line.trimEnd().slice(0, MAX_LINE_CHARS)).toString());
    this.lines = [...this.lines, ...kept].slice(-MAX_LINES);
  }

  toString(): string {
    const all = this.rest.trim() === '' ? this.lines : [...this.lines, this.rest.trimEnd()];
    return all.slice(-MAX_LINES).join('\n');
  }
}

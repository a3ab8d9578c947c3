import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  statfs,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { type KeptLine, parseKeptLine } from './log-line.js';

const NEWLINE = 0x0a;
const NAME = /^(\d{1,12})\.jsonl$/;
const LARGEST_SEGMENT = 1024 * 1024;
const FEWEST_SEGMENTS = 8;
/** More than a header is. */
const HEADER_BYTES = 128;
const READ_BYTES = 64 * 1024;
/** Logs leave so much of the disk to what cannot do without. */
const LEAST_FREE_BYTES = 128 * 1024 * 1024;

/** A place between two lines. */
export interface LogPosition {
  segment: number;
  /** Bytes from the beginning of the segment. */
  offset: number;
}

/** The first line of a segment. */
interface SegmentHeader {
  /** Number of its first line. */
  seq: number;
  /** How many processes had written before. */
  processes: number;
}

interface Segment extends SegmentHeader {
  number: number;
  /** As far as it is whole and may be read. */
  bytes: number;
}

/**
 * The lines of one deployment's log on disk: a ring of segments, files of JSON Lines, of which the oldest goes when the
 * next begins. Nothing here is called twice at the same time, but for reading.
 */
export class SegmentFiles {
  private segments: Segment[] = [];
  private readonly segmentBytes: number;
  /** The newest segment may end in half a line. */
  private isTorn = false;

  constructor(
    private readonly folder: string,
    private readonly maxBytes: number,
  ) {
    this.segmentBytes = Math.min(LARGEST_SEGMENT, Math.floor(maxBytes / FEWEST_SEGMENTS));
  }

  /**
   * What an earlier service has left. Gives the number of the newest line, and of processes. Throws what the disk says;
   * then it has to be called again before anything is written.
   */
  async load(): Promise<SegmentHeader> {
    const names = (await readdir(this.folder).catch(unlessGone)) ?? [];
    const numbers = names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number);
    this.segments = [];
    for (const number of numbers.sort((a, b) => a - b)) {
      const segment = await this.inspect(number);
      if (segment) this.segments.push(segment);
    }
    const newest = this.segments.at(-1);
    return newest ? this.repair(newest) : { seq: 0, processes: 0 };
  }

  /** The lines are numbered from `seq` on. Throws what the disk says; then some of them may be there. */
  async append(lines: string[], { seq, processes }: SegmentHeader): Promise<void> {
    let chunk: string[] = [];
    let bytes = 0;
    for (const [index, line] of lines.entries()) {
      const size = Buffer.byteLength(line);
      const { bytes: filled = Infinity } = this.segments.at(-1) ?? {};
      if (this.isTorn || filled + bytes + size > this.segmentBytes) {
        await this.write(chunk, bytes);
        [chunk, bytes] = [[], 0];
        await this.rotate({ seq: seq + index, processes });
      }
      chunk.push(line);
      bytes += size;
    }
    await this.write(chunk, bytes);
  }

  /** Behind the newest line. */
  get end(): LogPosition {
    const newest = this.segments.at(-1);
    return { segment: newest?.number ?? 0, offset: newest?.bytes ?? 0 };
  }

  /** Where the line with this number is to be looked for; the oldest that is left, where it is gone. */
  positionOf(seq: number): LogPosition {
    const segment = this.segments.findLast((one) => one.seq <= seq) ?? this.segments[0];
    return { segment: segment?.number ?? 0, offset: 0 };
  }

  /** Numbers of the segments, newest first. */
  get newestFirst(): number[] {
    return this.segments.map(({ number }) => number).toReversed();
  }

  /** The lines of a segment up to `end`; none when it is gone. Throws what the disk says. */
  async readSegment(number: number, end: LogPosition): Promise<string[]> {
    const bytes =
      number === end.segment ? end.offset : this.segments.find((one) => one.number === number)?.bytes;
    if (bytes === undefined) return [];
    const content = await readFile(this.fileOf(number)).catch(unlessGone);
    return (content?.subarray(0, bytes).toString('utf8') ?? '').split('\n').slice(1, -1);
  }

  /** Some lines from `from` on, and where they end; undefined: there are none yet. Throws what the disk says. */
  async readOn(from: LogPosition): Promise<{ lines: KeptLine[]; next: LogPosition } | undefined> {
    const segment = this.segments.find(({ number }) => number >= from.segment);
    if (!segment) return undefined;
    const offset = segment.number === from.segment ? from.offset : 0;
    if (offset >= segment.bytes) {
      const next = this.segments[this.segments.indexOf(segment) + 1];
      return next && this.readOn({ segment: next.number, offset: 0 });
    }
    const chunk = await this.readChunk(segment, offset);
    // It was removed meanwhile, or has no whole line there.
    if (chunk === undefined) return this.readOn({ segment: segment.number + 1, offset: 0 });
    const lines = chunk.toString('utf8').split('\n');
    return {
      lines: lines.flatMap((line) => parseKeptLine(line) ?? []),
      next: { segment: segment.number, offset: offset + chunk.length },
    };
  }

  /** Whole lines; one at least. */
  private async readChunk(segment: Segment, offset: number): Promise<Buffer | undefined> {
    const file = await open(this.fileOf(segment.number)).catch(unlessGone);
    if (!file) return undefined;
    try {
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(Math.min(READ_BYTES, segment.bytes - offset)),
        { position: offset },
      );
      const end = buffer.lastIndexOf(NEWLINE, bytesRead - 1);
      return end < 0 ? undefined : buffer.subarray(0, end + 1);
    } finally {
      await file.close();
    }
  }

  private async write(lines: string[], bytes: number): Promise<void> {
    const segment = this.segments.at(-1);
    if (!segment || lines.length === 0) return;
    try {
      await writeFile(this.fileOf(segment.number), lines.join(''), { flag: 'a' });
      segment.bytes += bytes;
    } catch (error) {
      this.isTorn = true;
      await this.cut(segment).catch(() => undefined);
      throw error;
    }
  }

  /** Where that fails as well, whoever reads stops there, and the next line begins another segment. */
  private async cut(segment: Segment): Promise<void> {
    await truncate(this.fileOf(segment.number), segment.bytes);
    this.isTorn = false;
  }

  private async rotate(header: SegmentHeader): Promise<void> {
    const number = (this.segments.at(-1)?.number ?? 0) + 1;
    const text = `${JSON.stringify(header)}\n`;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    if (!(await this.makeRoom())) await this.requireFreeDisk();
    await writeFile(this.fileOf(number), text, { mode: 0o600 });
    this.segments.push({ ...header, number, bytes: text.length });
    this.isTorn = false;
  }

  /** For one more segment; false: there was. */
  private async makeRoom(): Promise<boolean> {
    let isSmaller = false;
    for (;;) {
      const bytes = this.segments.reduce((sum, segment) => sum + segment.bytes, 0);
      const [oldest] = this.segments;
      if (!oldest || bytes + this.segmentBytes <= this.maxBytes) return isSmaller;
      await rm(this.fileOf(oldest.number), { force: true });
      this.segments.shift();
      isSmaller = true;
    }
  }

  private async requireFreeDisk(): Promise<void> {
    const { bavail, bsize } = await statfs(this.folder);
    if (bavail * bsize < LEAST_FREE_BYTES) throw new Error('The disk is nearly full.');
  }

  /** Undefined: it is gone, or was none, which died when it was made; then it is removed. */
  private async inspect(number: number): Promise<Segment | undefined> {
    const file = await open(this.fileOf(number)).catch(unlessGone);
    if (!file) return undefined;
    try {
      const header = await headerOf(file);
      if (header) return { ...header, number, bytes: (await file.stat()).size };
      await rm(this.fileOf(number), { force: true });
      return undefined;
    } finally {
      await file.close();
    }
  }

  /** Takes off what is no whole line: the last service was killed in the middle of it. */
  private async repair(segment: Segment): Promise<SegmentHeader> {
    const content = await readFile(this.fileOf(segment.number));
    segment.bytes = content.lastIndexOf(NEWLINE) + 1;
    if (segment.bytes < content.length) await truncate(this.fileOf(segment.number), segment.bytes);
    let { seq, processes } = segment;
    seq -= 1;
    for (const text of content.subarray(0, segment.bytes).toString('utf8').split('\n')) {
      const line = parseKeptLine(text);
      if (!line) continue;
      seq = Math.max(seq, line.seq);
      processes = Math.max(processes, line.process ?? 0);
    }
    return { seq, processes };
  }

  private fileOf(number: number): string {
    return join(this.folder, `${number}.jsonl`);
  }
}

async function headerOf(file: FileHandle): Promise<SegmentHeader | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER_BYTES), { position: 0 });
  const [line = '', ...rest] = buffer.toString('utf8', 0, bytesRead).split('\n');
  if (rest.length === 0) return undefined;
  try {
    const header = JSON.parse(line) as Partial<SegmentHeader> | null;
    const { seq, processes } = header ?? {};
    return Number.isSafeInteger(seq) && Number.isSafeInteger(processes)
      ? (header as SegmentHeader)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A file that cannot be opened just now is there all the same. */
function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

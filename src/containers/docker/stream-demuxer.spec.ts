import { describe, expect, it } from 'vitest';
import { StreamDemuxer } from './stream-demuxer.js';

function frame(channel: number, payload: Buffer | string): Buffer {
  const body = Buffer.from(payload);
  const header = Buffer.alloc(8);
  header.writeUInt8(channel, 0);
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

/** What comes out on each channel when the stream is fed in these pieces. */
function demux(pieces: Buffer[]): { stdout: string; stderr: string } {
  const out: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  const demuxer = new StreamDemuxer((channel, slice) => out[channel].push(Buffer.from(slice)));
  for (const piece of pieces) demuxer.push(piece);
  return { stdout: Buffer.concat(out.stdout).toString(), stderr: Buffer.concat(out.stderr).toString() };
}

function piecesOf(stream: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(stream.length / size) }, (_, i) =>
    stream.subarray(i * size, (i + 1) * size),
  );
}

const STREAM = Buffer.concat([
  frame(1, '{"a":"grün €"}\n'),
  frame(2, 'log: ä\n'),
  frame(1, ''),
  frame(2, ''),
  frame(1, '🦀 half'),
  frame(1, ' and half\n'),
  frame(2, 'last'),
]);
const EXPECTED = { stdout: '{"a":"grün €"}\n🦀 half and half\n', stderr: 'log: ä\nlast' };

describe('StreamDemuxer', () => {
  it('gives the same output when the stream is cut in two at any byte, also in a header or a character', () => {
    for (let at = 0; at <= STREAM.length; at += 1) {
      expect(demux([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(EXPECTED);
    }
  });

  it('gives the same output when the stream comes in pieces of any one size', () => {
    for (let size = 1; size <= STREAM.length; size += 1)
      expect(demux(piecesOf(STREAM, size))).toEqual(EXPECTED);
  });

  it('passes a 1 MB frame on as it arrives, without holding it', () => {
    const payload = Buffer.alloc(1024 * 1024, 'x');
    const sizes: number[] = [];
    const demuxer = new StreamDemuxer((_channel, slice) => sizes.push(slice.length));
    for (const piece of piecesOf(frame(1, payload), 1000)) {
      const before = sizes.length;
      demuxer.push(piece);
      expect(sizes.length).toBe(before + 1);
    }
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(payload.length);
  });

  it.each([
    ['an unknown channel', frame(3, 'x')],
    ['the stdin channel', frame(0, 'x')],
    ['text in place of frames', Buffer.from('OCI runtime exec failed')],
    ['bytes where zeros belong', Buffer.from([1, 0, 7, 0, 0, 0, 0, 1, 65])],
    ['an absurd length', Buffer.from([1, 0, 0, 0, 255, 255, 255, 255, 65])],
  ])('refuses %s', (_what, stream) => {
    expect(() => demux([stream])).toThrow(/not a frame/);
    expect(() => demux(piecesOf(stream, 1))).toThrow(/not a frame/);
  });
});

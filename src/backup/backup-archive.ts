import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, type Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, pack } from 'tar-stream';
import { BackupError } from './backup-error.js';
import { type BackupManifest, type BackupPart, parseManifest } from './backup-manifest.js';

const MANIFEST = 'manifest.json';
const MOST_MANIFEST_BYTES = 65_536;
const ANOTHER = 'Use another backup.';

/** Passes bytes on, counts them and makes their SHA-256. */
export class Digest extends Transform {
  private readonly hash = createHash('sha256');
  bytes = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.hash.update(chunk);
    this.bytes += chunk.length;
    done(null, chunk);
  }

  get sha256(): string {
    return this.hash.digest('hex');
  }
}

/** A tar file, for its owner only: the manifest, then the parts from `folder` in the manifest's order. */
export async function writeArchive(path: string, folder: string, manifest: BackupManifest): Promise<void> {
  const tar = pack();
  const written = pipeline(tar, createWriteStream(path, { mode: 0o600, flags: 'wx', flush: true }));
  const mtime = new Date(manifest.createdAt);
  const fill = async (): Promise<void> => {
    tar.entry({ name: MANIFEST, mode: 0o600, mtime }, `${JSON.stringify(manifest, undefined, 2)}\n`);
    for (const { name, bytes } of manifest.parts) {
      const entry = tar.entry({ name, size: bytes, mode: 0o600, mtime });
      await pipeline(createReadStream(join(folder, name)), entry);
    }
    tar.finalize();
  };
  // A disk that is full ends the file, and then nobody takes the entries.
  await Promise.all([
    written,
    fill().catch((error: unknown) => {
      tar.destroy(error as Error);
      throw error;
    }),
  ]);
}

/**
 * Read all of a backup and check every byte of it against its manifest. Its parts go to `folder`, where one is given, under
 * the names of the manifest, which can be no others than `PARTS`. Throws a `BackupError` at the first thing that is wrong.
 */
export async function readArchive(path: string, folder: string | undefined): Promise<BackupManifest> {
  const tar = extract();
  const source = pipeline(createReadStream(path), tar);
  // What is wrong with the file is told by reading the entries.
  source.catch(() => undefined);
  try {
    let manifest: BackupManifest | undefined;
    let position = 0;
    for await (const entry of tar as AsyncIterable<Readable & { header: { name: string; type?: string } }>) {
      if (entry.header.type !== 'file') throw new BackupError('It holds something that is no file', ANOTHER);
      if (manifest === undefined) {
        manifest = parseManifest(await textOf(entry, entry.header.name));
        continue;
      }
      const part = manifest.parts[position];
      if (part?.name !== entry.header.name)
        throw new BackupError('Its parts are not those of its manifest', ANOTHER);
      await takePart(entry, part, folder);
      position += 1;
    }
    await source;
    if (manifest === undefined || position < manifest.parts.length)
      throw new BackupError('It is not whole', ANOTHER);
    return manifest;
  } catch (error) {
    if (error instanceof BackupError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    // Of the disk.
    if (code !== undefined && /^E[A-Z]+$/.test(code)) throw error;
    throw new BackupError('It is no whole tar file', ANOTHER, { cause: error });
  } finally {
    tar.destroy();
  }
}

async function textOf(entry: Readable, name: string): Promise<string> {
  if (name !== MANIFEST)
    throw new BackupError('It does not begin with a manifest', 'Is it a backup of mcp-runner?');
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of entry as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_MANIFEST_BYTES) throw new BackupError('Its manifest is too large', ANOTHER);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function takePart(entry: Readable, part: BackupPart, folder: string | undefined): Promise<void> {
  const digest = new Digest();
  const target =
    folder === undefined
      ? new PassThrough().resume()
      : createWriteStream(join(folder, part.name), { mode: 0o600, flags: 'wx', flush: true });
  const bounded = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const isTooLarge = digest.bytes + chunk.length > part.bytes;
      done(
        isTooLarge ? new BackupError(`Its ${part.name} is larger than its manifest says`, ANOTHER) : null,
        chunk,
      );
    },
  });
  // Until then it may still make its file, in a folder that whoever hears of a failure removes.
  const closed = new Promise<void>((resolve) => {
    target.once('close', resolve);
  });
  try {
    await pipeline(entry, bounded, digest, target);
  } finally {
    await closed;
  }
  if (digest.bytes !== part.bytes || digest.sha256 !== part.sha256)
    throw new BackupError(`Its ${part.name} is damaged`, ANOTHER);
}

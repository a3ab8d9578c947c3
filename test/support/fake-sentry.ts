import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, inflateRawSync } from 'node:zlib';

/** One envelope as it came: its headers, and each item with its header. */
export interface Envelope {
  header: Record<string, unknown>;
  items: { header: Record<string, unknown>; body: unknown }[];
  /** Everything that came, the request's own headers included. */
  raw: string;
}

/** What was put together of the chunks that `sentry-cli` sent. */
export interface ArtifactBundle {
  request: { checksum: string; chunks: string[]; projects: string[]; version?: string };
  files: Map<string, string>;
}

/** A Sentry on loopback: takes envelopes and artifact bundles, checks what it can, and keeps all of it. */
export class FakeSentry {
  readonly envelopes: Envelope[] = [];
  readonly bundles: ArtifactBundle[] = [];
  /** Method and path of every call. */
  readonly calls: string[] = [];
  /** What the calls of the API came with. */
  readonly tokens = new Set<string | undefined>();
  /** True: it takes envelopes and never answers. */
  isSilent = false;
  private readonly chunks = new Map<string, Buffer>();

  private constructor(private readonly server: Server) {
    server.on('request', (req, res) => void this.answer(req, res));
  }

  static async start(): Promise<FakeSentry> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FakeSentry(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get dsn(): string {
    return this.url.replace('//', '//0123456789abcdef0123456789abcdef@').concat('/1');
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const path = req.url ?? '';
    this.calls.push(`${req.method} ${path.split('?', 1)[0]}`);
    const body = await buffer(req);
    const json = (value: unknown): void => {
      res.setHeader('content-type', 'application/json').end(JSON.stringify(value));
    };
    if (path.startsWith('/api/1/envelope/')) {
      this.envelopes.push(envelopeIn(req, body));
      if (!this.isSilent) json({});
      return;
    }
    this.tokens.add(req.headers.authorization);
    if (/\/organizations\/[^/]+\/chunk-upload\/$/.test(path)) {
      if (req.method === 'GET') json(this.uploadOptions());
      else {
        for (const chunk of partsOf(req, body)) this.chunks.set(sha1(chunk), chunk);
        json({});
      }
    } else if (path.endsWith('/artifactbundle/assemble/')) json(this.assemble(body));
    else {
      res.statusCode = 404;
      json({ detail: `This fake has no ${path}` });
    }
  }

  private uploadOptions(): object {
    return {
      url: `${this.url}/api/0/organizations/an-org/chunk-upload/`,
      chunkSize: 8_388_608,
      chunksPerRequest: 64,
      maxFileSize: 2_147_483_648,
      maxRequestSize: 33_554_432,
      concurrency: 1,
      hashAlgorithm: 'sha1',
      compression: ['gzip'],
      accept: ['debug_files', 'release_files', 'sources', 'artifact_bundles', 'artifact_bundles_v2'],
    };
  }

  private assemble(body: Buffer): object {
    const request = JSON.parse(body.toString()) as ArtifactBundle['request'];
    const missingChunks = request.chunks.filter((chunk) => !this.chunks.has(chunk));
    if (missingChunks.length > 0) return { state: 'not_found', missingChunks };
    const whole = Buffer.concat(request.chunks.map((chunk) => this.chunks.get(chunk) ?? Buffer.alloc(0)));
    if (sha1(whole) !== request.checksum) return { state: 'error', missingChunks: [], detail: 'checksum' };
    if (this.bundles.every((bundle) => bundle.request.checksum !== request.checksum))
      this.bundles.push({ request, files: unzip(whole) });
    return { state: 'ok', missingChunks: [] };
  }
}

function sha1(content: Buffer): string {
  return createHash('sha1').update(content).digest('hex');
}

function envelopeIn(req: IncomingMessage, body: Buffer): Envelope {
  const text = (req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString();
  const [header = '{}', ...lines] = text.split('\n');
  const items: Envelope['items'] = [];
  for (let i = 0; i + 1 < lines.length; i += 2) {
    items.push({
      header: JSON.parse(lines[i] ?? '') as Record<string, unknown>,
      body: JSON.parse(lines[i + 1] ?? ''),
    });
  }
  const raw = `${JSON.stringify(req.rawHeaders)}\n${req.url}\n${text}`;
  return { header: JSON.parse(header) as Record<string, unknown>, items, raw };
}

/** The parts of a multipart body; gzipped ones unpacked. */
function partsOf(req: IncomingMessage, body: Buffer): Buffer[] {
  const boundary = /boundary="?([^";]+)/.exec(req.headers['content-type'] ?? '')?.[1] ?? '';
  const mark = Buffer.from(`--${boundary}`);
  const parts: Buffer[] = [];
  let from = body.indexOf(mark);
  for (let to = body.indexOf(mark, from + 1); to !== -1; to = body.indexOf(mark, from + 1)) {
    const part = body.subarray(from + mark.length + 2, to - 2);
    const headEnd = part.indexOf('\r\n\r\n');
    const content = part.subarray(headEnd + 4);
    parts.push(part.subarray(0, headEnd).includes('file_gzip') ? gunzipSync(content) : content);
    from = to;
  }
  return parts;
}

/** By its central directory: name, content. */
function unzip(zip: Buffer): Map<string, string> {
  const files = new Map<string, string>();
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06'));
  let at = zip.readUInt32LE(end + 16);
  for (let i = zip.readUInt16LE(end + 10); i > 0; i -= 1) {
    const method = zip.readUInt16LE(at + 10);
    const size = zip.readUInt32LE(at + 20);
    const [name, extra, comment] = [28, 30, 32].map((offset) => zip.readUInt16LE(at + offset)) as [
      number,
      number,
      number,
    ];
    const local = zip.readUInt32LE(at + 42);
    const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const content = zip.subarray(start, start + size);
    files.set(
      zip.toString('utf8', at + 46, at + 46 + name),
      (method === 8 ? inflateRawSync(content) : content).toString(),
    );
    at += 46 + name + extra + comment;
  }
  return files;
}

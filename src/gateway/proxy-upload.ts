import { Transform } from 'node:stream';
import { ByteBuffer } from '../mcp/channels/byte-buffer.js';
import { parseBody } from '../mcp/jsonrpc/envelope.js';

/** Requests are small as a rule; what is larger is not looked at. */
const MAX_KEPT_BYTES = 65_536;

/** What a client sends, on its way to the server: counted, and kept as long as it is small. */
export class ProxyUpload extends Transform {
  private bytes = 0;
  private kept: ByteBuffer | undefined = new ByteBuffer();

  /** @param onTooLarge called instead of passing on what is beyond `maxBytes` */
  constructor(
    private readonly maxBytes: number,
    private readonly onTooLarge: () => void,
  ) {
    super();
    // Whatever breaks it off, the exchange learns it elsewhere.
    this.on('error', () => undefined);
  }

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
    this.bytes += chunk.length;
    if (this.bytes > this.maxBytes) {
      this.onTooLarge();
      return;
    }
    if (this.bytes <= MAX_KEPT_BYTES) this.kept?.append(chunk);
    else this.kept = undefined;
    done(null, chunk);
  }

  /** Ids of the requests in it, as JSON text; none where it is large or no JSON-RPC. */
  requestIds(): string[] {
    if (!this.kept) return [];
    try {
      const { messages } = parseBody(this.kept.take().toString('utf8'));
      return messages.flatMap((message) => (message.kind === 'request' ? [message.rawId] : []));
    } catch {
      return [];
    }
  }
}

import { EdgeError } from './http-reply.js';
import { RPC } from '../../jsonrpc/json-rpc.js';

const MB = 1024 * 1024;
/** Of all clients together, and of those of one deployment, which never get more than half of what the others leave. */
const MAX_BYTES = 256 * MB;
const MAX_BYTES_EACH = 64 * MB;
const RETRY_AFTER = { 'retry-after': '1' };

/** The memory that one request's body takes, until it is handed to the server. */
export interface MemoryLease {
  /** Throws 503 when there is no room for so many bytes more. */
  grow(bytes: number): void;
  release(): void;
}

/**
 * Bounds what clients' messages hold in memory while they come in, or wait for a server that does not read. One
 * deployment's clients cannot take all of it, and neither can a few deployments together.
 */
export class MessageMemory {
  private bytes = 0;
  private readonly bytesOf = new Map<string, number>();

  lease(deploymentId: string): MemoryLease {
    let held = 0;
    return {
      grow: (bytes) => {
        const before = this.bytesOf.get(deploymentId) ?? 0;
        const each = before + bytes;
        const free = MAX_BYTES - (this.bytes - before);
        if (each > Math.min(MAX_BYTES_EACH, free / 2)) {
          throw new EdgeError(
            503,
            'Service Unavailable: too many large messages at once',
            RPC.serverError,
            RETRY_AFTER,
          );
        }
        held += bytes;
        this.bytes += bytes;
        this.bytesOf.set(deploymentId, each);
      },
      release: () => {
        this.bytes -= held;
        const left = (this.bytesOf.get(deploymentId) ?? 0) - held;
        if (left > 0) this.bytesOf.set(deploymentId, left);
        else this.bytesOf.delete(deploymentId);
        held = 0;
      },
    };
  }
}

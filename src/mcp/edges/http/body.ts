import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { InvalidMessageError } from '../../jsonrpc/invalid-message.error.js';
import { RPC } from '../../jsonrpc/json-rpc.js';
import { type ParsedBody, parseBody } from '../../jsonrpc/envelope.js';
import { EdgeError } from './http-reply.js';
import type { MemoryLease } from './message-memory.js';

/** Read and parse a body of at most `maxBytes`; the memory it takes is the caller's to release. */
export async function readMessages(
  req: IncomingMessage,
  maxBytes: number,
  memory: MemoryLease,
): Promise<ParsedBody> {
  const body = await readBody(req, maxBytes, memory);
  try {
    if (!isUtf8(body)) throw new SyntaxError('not UTF-8');
    return parseBody(body.toString('utf8'));
  } catch (error) {
    if (error instanceof InvalidMessageError) {
      throw new EdgeError(400, `Invalid Request: ${error.message}`, RPC.invalidRequest);
    }
    throw new EdgeError(400, 'Parse error: the body is not valid JSON', RPC.parseError);
  }
}

async function readBody(req: IncomingMessage, maxBytes: number, memory: MemoryLease): Promise<Buffer> {
  const requireSize = (bytes: number): void => {
    if (bytes > maxBytes) throw new EdgeError(413, `Payload Too Large: a message may have ${maxBytes} bytes`);
  };
  requireSize(Number(req.headers['content-length'] ?? 0));
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // Leaving the loop must not destroy the socket: a refusal goes out on it, and the rest of the body is discarded.
    for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      requireSize(bytes);
      memory.grow(chunk.length);
      chunks.push(chunk);
    }
  } catch (error) {
    req.resume();
    throw error;
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, bytes);
}

import { type IncomingMessage, request as httpRequest, type ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MemoryLease } from '../edges/http/message-memory.js';
import type { HttpEndpoint } from './http-endpoint.js';

const CONNECT_MS = 5000;
/** How long the end of a connection may come before that of the process it led to. */
const EXIT_MS = 300;
/** Of an answer that nobody wants to read. */
const MAX_UNREAD_BYTES = 64 * 1024;

/** What an HTTP server did wrong, as the end of "The server …". */
export class HttpFault extends Error {
  override name = 'HttpFault';
}

export interface HttpAsk {
  method: 'POST' | 'GET' | 'DELETE';
  /** Other than the endpoint's own. */
  path?: string;
  headers: Record<string, string>;
  body?: string;
}

export interface HttpExchange {
  /** Settles when the whole body is handed to the socket, or never will be; never rejects. */
  sent: Promise<void>;
  /** Rejects when the connection breaks before the head of the answer. */
  response: Promise<IncomingMessage>;
}

/** One request to exactly this endpoint. The signal breaks it off, whatever has come of it. */
export function ask(
  endpoint: HttpEndpoint,
  { method, path, headers, body }: HttpAsk,
  signal: AbortSignal,
): HttpExchange {
  const request = httpRequest({
    host: endpoint.address,
    port: endpoint.port,
    path: path ?? endpoint.path,
    method,
    agent: endpoint.agent,
    headers: {
      host: endpoint.host,
      ...headers,
      ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
    },
  });
  request.once('socket', (socket) => limitConnect(request, socket));
  // Not given to `request`, which gives it to the connection as well, and that may be another request's by then. Without
  // an error, because a connection on its way back to the agent has nobody who listens for one.
  const abort = (): void => void request.destroy();
  signal.addEventListener('abort', abort, { once: true });
  request.once('close', () => signal.removeEventListener('abort', abort));
  if (signal.aborted) abort();
  const sent = new Promise<void>((resolve) => {
    request.once('finish', resolve).once('close', resolve);
  });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', (answer) => {
      // Whoever reads it is told by the iteration.
      answer.on('error', () => undefined);
      resolve(answer);
    });
    request.on('error', reject);
    // Also the end of an attempt to upgrade, which reports no error.
    request.once('close', () => reject(new HttpFault('closed the connection without an answer')));
  });
  request.end(body);
  return { sent, response };
}

/** A sandbox that swallows packets must not keep anybody waiting for the system's own limit, which is minutes. */
export function limitConnect(request: ClientRequest, socket: Socket): void {
  if (!socket.connecting) return;
  const late = setTimeout(() => request.destroy(new HttpFault('did not accept a connection')), CONNECT_MS);
  const done = (): void => clearTimeout(late);
  socket.once('connect', done).once('close', done);
}

/** What a failed exchange means, for a person. Waits a moment for the end of the process, which says more. */
export async function explainFailure({ gone }: HttpEndpoint, failure: unknown): Promise<string> {
  if (failure instanceof HttpFault) return `The server ${failure.message}`;
  await untilAborted(gone, EXIT_MS);
  if (gone.aborted) return reasonOf(gone);
  return `The connection to the server broke: ${failure instanceof Error ? failure.message : 'it ended'}`;
}

export function reasonOf(gone: AbortSignal): string {
  return gone.reason instanceof Error ? gone.reason.message : 'The server is gone';
}

async function untilAborted(signal: AbortSignal, ms: number): Promise<void> {
  if (signal.aborted) return;
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    // It was.
  }
}

/** The media type without its parameters; empty where none is named. */
export function mediaTypeOf(response: IncomingMessage): string {
  return response.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
}

/** A body of at most `maxBytes`. Throws `HttpFault` for more, and whatever breaks the connection. */
export async function readBody(
  response: IncomingMessage,
  maxBytes: number,
  memory: MemoryLease,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new HttpFault(`sent a body of more than ${maxBytes} bytes`);
    memory.grow(chunk.length);
    chunks.push(chunk);
  }
  if (!response.complete) throw new Error('it broke its answer off');
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, bytes);
}

/** Read what nobody wants, so that the connection can be used again; too much of it ends the connection. */
export function discard(response: IncomingMessage): void {
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_UNREAD_BYTES) response.destroy();
  });
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BeforeApplicationShutdown, OnModuleInit } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import { STREAM_HEADERS } from './sse-response.js';

const KEEP_ALIVE_MS = 15_000;
const MAX_PER_TENANT = 64;
const RETRY_AFTER_SECONDS = 10;

/** A stream that has no end of its own. */
export interface OpenStream {
  keepAlive(): void;
  end(): void;
}

/** All streams of one kind that are open: bounded, kept alive, and ended with the service. */
export abstract class OpenStreams implements OnModuleInit, BeforeApplicationShutdown {
  private readonly open = new Map<OpenStream, string>();
  private keepAlive: NodeJS.Timeout | undefined;
  private isClosing = false;

  onModuleInit(): void {
    this.keepAlive = setInterval(() => {
      for (const stream of this.open.keys()) stream.keepAlive();
    }, KEEP_ALIVE_MS).unref();
  }

  /** So that nobody waits for streams that have no end, and clients come back to the next service. */
  beforeApplicationShutdown(): void {
    this.isClosing = true;
    clearInterval(this.keepAlive);
    for (const stream of this.open.keys()) stream.end();
  }

  /**
   * Answer with the stream that `begin` makes of the response. Throws, with nothing written, `shutting_down`,
   * `event_streams_limit`, or `bad_request`.
   */
  protected admit(
    tenantId: string,
    req: IncomingMessage,
    res: ServerResponse,
    begin: (lastEventId: string | undefined) => OpenStream,
  ): void {
    if (this.isClosing) throw new AppError('shutting_down', { retryAfterSeconds: RETRY_AFTER_SECONDS });
    if (res.closed) return;
    // Its turn may never come, and it would not be told when the client leaves.
    if (res.socket === null) {
      throw new AppError('bad_request', {
        detail: 'Do not ask for a stream behind another request (pipelining).',
      });
    }
    if (req.method === 'HEAD') {
      res.writeHead(200, STREAM_HEADERS).end();
      return;
    }
    if ([...this.open.values()].filter((tenant) => tenant === tenantId).length >= MAX_PER_TENANT) {
      throw new AppError('event_streams_limit', {
        detail: `${MAX_PER_TENANT} are open. Close one, or try again later.`,
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    const stream = begin(lastEventIdOf(req));
    this.open.set(stream, tenantId);
    res.on('close', () => this.open.delete(stream));
  }
}

/** An empty one is that of a client that has no event yet. */
function lastEventIdOf(req: IncomingMessage): string | undefined {
  return String(req.headers['last-event-id'] ?? '') || undefined;
}

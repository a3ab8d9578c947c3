import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { requireReadable } from './http-answer.js';
import { discard, HttpFault, mediaTypeOf } from './http-exchange.js';

/** Connections in a row that bring nothing and end. */
const MAX_BARREN_TRIES = 5;
/** A connection that lived so long was not in vain. */
const LONG_LIFE_MS = 10_000;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 30_000;

/** How far a stream was read, over all its connections. */
export interface Cursor {
  lastEventId: string | undefined;
  retryMs: number | undefined;
}

/** The server has no stream to read there, which is its right. */
export class NoStream extends HttpFault {}

export interface StreamSource {
  /** A GET behind this event. */
  get(lastEventId: string | undefined): Promise<IncomingMessage>;
  /** Read to the end, moving the cursor. */
  read(answer: IncomingMessage, cursor: Cursor): Promise<void>;
}

/**
 * Read a stream over as many connections as it takes, until `done`. Resolves to what went wrong when it is given up: the
 * server refuses or breaks a limit, or the connections end one after the other with nothing said. Never rejects.
 */
export async function followStream(
  source: StreamSource,
  cursor: Cursor,
  signal: AbortSignal,
  done: () => boolean,
): Promise<unknown> {
  let fault: unknown;
  let wait = cursor.lastEventId === undefined ? 0 : waitOf(cursor, 0);
  for (let barren = 0; barren < MAX_BARREN_TRIES;) {
    const before = cursor.lastEventId;
    let since = Date.now();
    try {
      if (wait > 0) await sleep(wait, undefined, { signal });
      since = Date.now();
      const answer = await source.get(before);
      if (answer.statusCode !== 200 || mediaTypeOf(answer) !== 'text/event-stream') {
        discard(answer);
        return new NoStream(`answered with HTTP ${answer.statusCode ?? 0} where its stream was to go on`);
      }
      requireReadable(answer);
      await source.read(answer, cursor);
    } catch (error) {
      fault = error;
      if (signal.aborted || error instanceof HttpFault) return error;
    }
    if (done()) return undefined;
    barren = cursor.lastEventId !== before || Date.now() - since > LONG_LIFE_MS ? 0 : barren + 1;
    wait = waitOf(cursor, barren);
  }
  return fault;
}

function waitOf({ retryMs = 0 }: Cursor, barren: number): number {
  return Math.min(Math.max(retryMs, FIRST_RETRY_MS) * 2 ** barren, LONGEST_RETRY_MS);
}

import { eventIdText, type ReplayLog } from './replay-log.js';
import type { SseConnection } from '../http/sse-connection.js';

/**
 * A sequence of events that outlives its connections. At most one connection is attached, the newest; what is said while
 * there is none waits in the log.
 */
export class EventStream {
  private nextSeq = 1;
  /** The last event that was written to some connection. */
  private writtenSeq = 0;
  private finished = false;
  private connection: SseConnection | undefined;

  /** @param requestId of the one request that it answers, as JSON text */
  constructor(
    readonly id: number,
    private readonly log: ReplayLog,
    private readonly requestId?: string,
  ) {}

  get attached(): boolean {
    return this.connection !== undefined && !this.connection.closed;
  }

  /** Go on through this connection, from behind `afterSeq`, or from the first event nobody has been sent. */
  attach(connection: SseConnection, afterSeq = this.writtenSeq): void {
    if (this.connection !== connection) this.connection?.end();
    this.connection = connection;
    for (const { seq, data } of this.log.after({ stream: this.id, seq: afterSeq })) {
      // A replay is bounded by the log; nobody waits for it.
      void this.write(seq, data);
    }
    if (this.finished) connection.end();
  }

  /** An event without data, so that the client has an id to resume from before the first message. */
  prime(): void {
    void this.write(this.nextSeq++, '');
  }

  append(data: string, answer = false): Promise<void> | undefined {
    const seq = this.nextSeq++;
    this.log.add({ stream: this.id, seq, data }, answer);
    return this.write(seq, data);
  }

  /** Nothing more will come: connections end behind the last event. */
  finish(): void {
    this.finished = true;
    this.connection?.end();
  }

  private write(seq: number, data: string): Promise<void> | undefined {
    if (!this.connection || this.connection.closed) return undefined;
    this.writtenSeq = seq;
    const { id: stream, requestId } = this;
    const id = eventIdText({ stream, seq, ...(requestId !== undefined && { requestId }) });
    return this.connection.event(id, data);
  }
}

import type { Channel, ChannelClosed } from '../../channels/channel.js';
import type { Outlet } from '../../sessions/outlet.js';
import { Session } from '../../sessions/session.js';
import { EventStream } from './event-stream.js';
import { type EventId, ReplayLog } from './replay-log.js';
import type { SseConnection } from '../http/sse-connection.js';

/** What a session keeps for clients that come back for what they missed. */
const REPLAY_CHARS = 1024 * 1024;
/** Answered requests whose stream can still be resumed. */
const MAX_FINISHED_STREAMS = 32;
const AMBIENT_STREAM = 0;

/** Revision from which clients understand an event without data as the place to resume from. */
const PRIMING_REVISION = '2025-11-25';

/** A session of the Streamable HTTP transport: the conversation and its event streams. */
export class HttpSession {
  readonly session: Session;
  private readonly log = new ReplayLog(REPLAY_CHARS);
  /** Messages that belong to no request; clients listen to it by GET. */
  private readonly ambient = new EventStream(AMBIENT_STREAM, this.log);
  private readonly streams = new Map<number, EventStream>([[AMBIENT_STREAM, this.ambient]]);
  private readonly finishedStreams: number[] = [];
  private nextStream = 1;
  private initialized = false;

  constructor(
    readonly id: string,
    channel: Channel,
    onClosed: (why: ChannelClosed) => void,
  ) {
    this.session = new Session(channel, this.ambientOutlet(), (why) => {
      this.ambient.finish();
      onClosed(why);
    });
  }

  get inFlight(): number {
    return this.session.inFlight;
  }

  /** End the server process. Resolves when nothing of it is left; never rejects. `fault`: what the server did wrong. */
  close(fault?: string): Promise<void> {
    return this.session.close(fault);
  }

  /** Batches exist in one revision only. */
  get acceptsBatches(): boolean {
    return this.session.protocolVersion === '2025-03-26';
  }

  /** Claims the one `initialize` of a session. False: it had one. */
  claimInitialize(): boolean {
    const first = !this.initialized;
    this.initialized = true;
    return first;
  }

  /** A stream for the answer to one POST, attached to its connection. */
  openStream(connection: SseConnection): EventStream {
    const stream = new EventStream(this.nextStream++, this.log);
    this.streams.set(stream.id, stream);
    stream.attach(connection);
    if ((this.session.protocolVersion ?? '') >= PRIMING_REVISION) stream.prime();
    return stream;
  }

  finishStream(stream: EventStream): void {
    stream.finish();
    this.finishedStreams.push(stream.id);
    if (this.finishedStreams.length <= MAX_FINISHED_STREAMS) return;
    const oldest = this.finishedStreams.shift() ?? stream.id;
    this.streams.delete(oldest);
    this.log.drop(oldest);
  }

  hasStream(id: EventId): boolean {
    return this.streams.has(id.stream);
  }

  /** Listen to the ambient stream, or resume the one the id belongs to. */
  listen(connection: SseConnection, last: EventId | undefined): void {
    const stream = last ? this.streams.get(last.stream) : this.ambient;
    stream?.attach(connection, last?.seq);
  }

  private ambientOutlet(): Outlet {
    const { ambient } = this;
    return {
      get open() {
        return ambient.attached;
      },
      deliver: (text) => ambient.append(text),
    };
  }
}

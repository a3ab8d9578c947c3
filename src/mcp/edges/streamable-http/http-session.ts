import { Channel } from '../../channels/channel.js';
import { errorText, RPC } from '../../jsonrpc/json-rpc.js';
import type { ConversationState } from '../../sessions/conversation-state.js';
import type { LiveSession } from '../../sessions/session-directory.js';
import { Session, type SessionHolder } from '../../sessions/session.js';
import type { SseConnection } from '../http/sse-connection.js';
import { EventStream } from './event-stream.js';
import { type EventId, eventIdText, ReplayLog } from './replay-log.js';

/** What a session keeps for clients that come back for what they missed. */
const REPLAY_CHARS = 1024 * 1024;
/** Answered requests whose stream can still be resumed. */
const MAX_FINISHED_STREAMS = 32;

/** Revision from which clients understand an event without data as the place to resume from. */
const PRIMING_REVISION = '2025-11-25';

const LOST = {
  code: RPC.serverError,
  message:
    'The answer can no longer be fetched: since the call was made the service was restarted, or the session was idle for ' +
    'long. The call may have been carried out',
  data: { code: 'server_stopped' },
};

/** What a session needs of the one that holds it. */
export interface HttpSessionHolder extends Omit<SessionHolder, 'ambient' | 'changed'> {
  /** Keep what another process would have to be told. False: it could not be. */
  store(state: ConversationState): boolean;
}

/** A session of the Streamable HTTP transport: the conversation and its event streams. */
export class HttpSession implements LiveSession {
  readonly session: Session;
  /** It is in the store, with what it has to go on with. */
  isKept: boolean;
  private readonly log = new ReplayLog(REPLAY_CHARS);
  /** Streams of an earlier life, in this control plane or another, have smaller numbers. */
  private readonly firstStream: number;
  /** Messages that belong to no request; clients listen to it by GET. */
  private readonly ambient: EventStream;
  private readonly streams: Map<number, EventStream>;
  private readonly finishedStreams: number[] = [];
  private nextStream: number;
  private initialized: boolean;

  /** @param start a conversation that nobody has begun, or one of an earlier life */
  constructor(
    readonly id: string,
    start: Channel | ConversationState,
    holder: HttpSessionHolder,
  ) {
    this.initialized = !(start instanceof Channel);
    this.isKept = this.initialized;
    this.firstStream = this.initialized ? Date.now() : 0;
    this.nextStream = this.firstStream + 1;
    this.ambient = new EventStream(this.firstStream, this.log);
    this.streams = new Map([[this.firstStream, this.ambient]]);
    const { ambient } = this;
    this.session = new Session(start, {
      ambient: {
        get open() {
          return ambient.attached;
        },
        deliver: (text) => ambient.append(text),
      },
      reopen: (signal) => holder.reopen(signal),
      handshakeMs: () => holder.handshakeMs(),
      untilJoined: () => holder.untilJoined?.(),
      changed: (state) => {
        this.isKept = holder.store(state);
      },
      lost: (why) => holder.lost(why),
      closed: (why) => {
        ambient.finish();
        holder.closed(why);
      },
    });
  }

  get inFlight(): number {
    return this.session.inFlight;
  }

  /** True while its client listens. */
  get connected(): boolean {
    return this.ambient.attached;
  }

  /** As of `Session`. */
  expireCalls(since: number): void {
    this.session.expireCalls(since);
  }

  /** As of `Session`. */
  sleep(why: string): Promise<void> {
    return this.session.sleep(why);
  }

  /** As of `Session`. */
  rejoin(): Promise<void> {
    return this.session.rejoin();
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

  /** A stream for the answer to one POST, attached to its connection. `requestId`: of the one request in it. */
  openStream(connection: SseConnection, requestId: string | undefined): EventStream {
    const stream = new EventStream(this.nextStream++, this.log, requestId);
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

  /** Whether a client may come back with this id. */
  canResume({ stream }: EventId): boolean {
    return this.streams.has(stream) || stream < this.firstStream;
  }

  /** Listen to the ambient stream, or resume the one the id belongs to. */
  listen(connection: SseConnection, last: EventId | undefined): void {
    const isOfEarlierLife = last !== undefined && last.stream < this.firstStream;
    if (isOfEarlierLife && last.requestId !== undefined) {
      const id = eventIdText({ ...last, seq: last.seq + 1 });
      void connection.event(id, errorText(last.requestId, LOST));
      connection.end();
      return;
    }
    const stream = last && !isOfEarlierLife ? this.streams.get(last.stream) : this.ambient;
    stream?.attach(connection, isOfEarlierLife ? undefined : last?.seq);
  }
}

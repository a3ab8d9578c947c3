import { AppError } from '../../errors/app-error.js';
import type { Channel, ChannelClosed, Origin } from '../channels/channel.js';
import type { Envelope } from '../jsonrpc/envelope.js';
import type { ConversationState } from './conversation-state.js';
import { HandshakeReplay } from './handshake-replay.js';
import { unlessAborted } from '../../waiting/unless-aborted.js';

const ENDED: ChannelClosed = { cause: 'ended', message: 'The session has ended' };
const NOT_STARTED: ChannelClosed = { cause: 'stopped', message: 'The server is not running' };

export interface DurableHandlers {
  /** As of a channel. */
  message(message: Envelope, origin?: Origin): Promise<void> | undefined;
  /** The server process is gone, and what it was asked stays unanswered; the next request gets another process. */
  lost(why: ChannelClosed): void;
  /** The conversation is over; the last call. */
  closed(why: ChannelClosed): void;
}

export interface DurableOptions {
  /** Another conversation that nobody has begun. May wait for the deployment; throws `AppError`. */
  reopen(signal: AbortSignal): Promise<Channel>;
  /** How long a new process may take to answer `initialize`. */
  handshakeMs(): number;
  /** What a new process has to be told; undefined while there is nothing to go on with. */
  state(): ConversationState | undefined;
  /** Numbers that no request of the conversation has. */
  newId(): number;
  /** Others are on their way to the same process, who are to be there before anything is asked of it. Never rejects. */
  untilJoined?(): Promise<void> | undefined;
  /** True: it also outlives a process that is told to end before anything has been said to it. */
  readonly outlivesSilence?: boolean;
}

/** A process on its way to a conversation. */
interface Wake {
  /** It is there, or will not come. */
  readonly done: Promise<void>;
  /** Nothing is under way any more; never rejects. */
  readonly ended: Promise<void>;
  /** Aborted with what those are told who wait for it. */
  readonly stop: AbortController;
  /** False: nobody is to be asked, it is only to hear what the process tells. */
  isForRequest: boolean;
}

/**
 * A conversation that outlives its server processes: when one is gone, whatever the reason, the next request starts
 * another and the handshake is replayed to it. Before the client's own handshake is over it ends with its first process,
 * unless `outlivesSilence` says otherwise.
 */
export class DurableChannel {
  private handlers: DurableHandlers | undefined;
  private waking: Wake | undefined;
  /** `stop` of the wake whose process is there and shakes hands. */
  private shaking: AbortSignal | undefined;
  private over: ChannelClosed | undefined;
  private closing: Promise<void> | undefined;
  private lastLoss = NOT_STARTED;
  private isSilent = true;
  private waiters = 0;

  /** @param inner a conversation that nobody has begun; undefined: there is no process yet */
  constructor(
    private inner: Channel | undefined,
    private readonly options: DurableOptions,
  ) {}

  open(handlers: DurableHandlers): void {
    this.handlers = handlers;
    const { inner } = this;
    inner?.open({
      message: (message, origin) => handlers.message(message, origin),
      closed: (why) => this.lose(inner, why),
    });
  }

  /** Undefined until it is over. */
  get whyClosed(): ChannelClosed | undefined {
    return this.over;
  }

  /** Why there is no server process; undefined while there is one. */
  get whyAway(): ChannelClosed | undefined {
    return this.over ?? (this.inner ? undefined : this.lastLoss);
  }

  /** Nobody has to wait, for a process or at all. While a process is told the rest one does, or would overtake others. */
  get isReady(): boolean {
    return this.over !== undefined || (this.inner !== undefined && this.waking === undefined);
  }

  /** Of those who asked for a process and have neither got one nor given up. */
  get waiting(): number {
    return this.waiters;
  }

  /**
   * See to it that there is a server process; many at once start one. Undefined: there is. Throws what kept it from
   * starting, `server_stopped` or `session_ended` where we did, or the reason of `signal`, which ends the waiting only.
   * `isToListen`: nothing is to be asked of it, so it need not wait for others.
   */
  ready(signal?: AbortSignal, isToListen = false): Promise<void> | undefined {
    if (this.isReady) return undefined;
    // One that was begun to listen does not wait for others; a request that finds it under way does.
    const isJoining = !isToListen && this.waking !== undefined;
    const waking = (this.waking ??= this.wake(isToListen));
    if (!isToListen) waking.isForRequest = true;
    return this.awaitWake(waking, signal, isJoining);
  }

  /** Hand a message to the process. What is said while there is none is lost, as with a process that dies. */
  send(text: string): Promise<void> | undefined {
    this.isSilent = false;
    return this.inner?.send(text);
  }

  /**
   * End the process, also one that still shakes hands; the conversation goes on with the next request. One that a request
   * asks for is left alone: whoever gives it knows what stops, and that stop may be part of what brings it. One that is only
   * to be listened to is given up, or it would wake what is about to sleep; it cleans up behind itself. Resolves when nothing
   * of a process that was there is left; never rejects.
   */
  async sleep(why: string): Promise<void> {
    const { inner, waking } = this;
    const stopped: ChannelClosed = { cause: 'stopped', message: why };
    if (inner) {
      this.lose(inner, stopped);
      await inner.close();
    } else if (waking && waking.stop.signal === this.shaking) {
      this.abandon(waking, new AppError('server_stopped', { detail: why }));
      this.fall(stopped);
      await waking.ended;
    } else if (waking && !waking.isForRequest) {
      this.abandon(waking, new AppError('server_stopped', { detail: why }));
      this.fall(stopped);
    }
  }

  /** End it for good. Like `Channel.close`. */
  close(fault?: string): Promise<void> {
    this.closing ??= this.end(fault);
    return this.closing;
  }

  private async end(fault: string | undefined): Promise<void> {
    const { inner, waking } = this;
    this.inner = undefined;
    if (waking) this.abandon(waking, new AppError('session_ended', { detail: ENDED.message }));
    const closing = inner?.close(fault);
    const why = fault === undefined ? ENDED : ({ cause: 'violated', message: fault } as const);
    // The process's own words, where it has some.
    this.finish(inner?.whyClosed ?? why);
    await closing;
    await waking?.ended;
  }

  private wake(isToListen: boolean): Wake {
    const stop = new AbortController();
    const work = this.start(stop.signal, isToListen).finally(() => {
      if (this.waking?.stop === stop) this.waking = undefined;
    });
    // Those who wait are told at once, whatever is still under way.
    const done = unlessAborted(work, stop.signal);
    const ended = done.catch(() => undefined).then(() => work.catch(() => undefined));
    return { done, ended, stop, isForRequest: false };
  }

  private async awaitWake(
    { done }: Wake,
    signal: AbortSignal | undefined,
    isJoining: boolean,
  ): Promise<void> {
    this.waiters++;
    try {
      await (signal ? unlessAborted(done, signal) : done);
      if (isJoining) await this.options.untilJoined?.();
    } finally {
      this.waiters--;
    }
  }

  /** From now on it has no say in the conversation; it cleans up behind itself. */
  private abandon({ stop }: Wake, why: AppError): void {
    this.waking = undefined;
    stop.abort(why);
  }

  private async start(stop: AbortSignal, isToListen: boolean): Promise<void> {
    let channel: Channel | undefined;
    try {
      const state = this.options.state();
      if (!state && !this.isSilent) throw new AppError('server_exited', { detail: this.lastLoss.message });
      channel = await this.options.reopen(stop);
      stop.throwIfAborted();
      this.shaking = stop;
      if (state) await this.goOn(channel, state, stop);
      else this.begin(channel);
      if (!isToListen) await this.options.untilJoined?.();
    } catch (error) {
      if (!stop.aborted && !this.over) {
        this.fall({ cause: 'stopped', message: error instanceof Error ? error.message : String(error) });
      }
      await channel?.close();
      throw stop.aborted ? stop.reason : error;
    }
  }

  private begin(channel: Channel): void {
    this.inner = channel;
    if (this.handlers) this.open(this.handlers);
    const why = channel.whyClosed;
    if (why) throw new AppError('server_exited', { detail: why.message });
  }

  private async goOn(channel: Channel, state: ConversationState, stop: AbortSignal): Promise<void> {
    const replay = new HandshakeReplay(channel, state, () => this.options.newId());
    channel.open({
      message: (message, origin) =>
        replay.take(message) ? undefined : this.handlers?.message(message, origin),
      closed: (why) => {
        replay.fail(why);
        this.lose(channel, why);
      },
    });
    await unlessAborted(replay.shakeHands(this.options.handshakeMs()), stop);
    // It may have ended right behind its answer.
    const why = channel.whyClosed;
    if (why) throw new AppError('server_exited', { detail: why.message });
    // Before anything else is said, so that whatever comes of that finds the conversation with its process.
    this.inner = channel;
    await replay.tellRest();
  }

  private lose(channel: Channel, why: ChannelClosed): void {
    if (channel !== this.inner) return;
    this.inner = undefined;
    const isUnused = this.isSilent && why.cause === 'stopped' && this.options.outlivesSilence === true;
    if (this.options.state() || isUnused) this.fall(why);
    else this.finish(why);
  }

  private fall(why: ChannelClosed): void {
    this.lastLoss = why;
    this.handlers?.lost(why);
  }

  private finish(why: ChannelClosed): void {
    if (this.over) return;
    this.over = why;
    this.handlers?.closed(why);
  }
}

import type { Channel, ChannelClosed } from '../channels/channel.js';
import { withoutLastWords } from '../channels/last-words.js';
import type { Envelope } from '../jsonrpc/envelope.js';
import { errorText, notificationText, RPC } from '../jsonrpc/json-rpc.js';
import { AskServer } from './ask-server.js';
import { Backlog } from './backlog.js';
import { ClientRouter } from './client-router.js';
import { ElicitationIds } from './elicitation-ids.js';
import { LogLevels } from './log-levels.js';
import { Outbox } from './outbox.js';
import { ServerRequests } from './server-requests.js';
import { ServerRouter } from './server-router.js';
import { type HandshakeOptions, SharedHandshake } from './shared-handshake.js';
import { SharedRequests } from './shared-requests.js';
import type { SharedState } from './shared-state.js';
import { Subscriptions } from './subscriptions.js';
import { type SharedProcess, VirtualChannel } from './virtual-channel.js';

export interface SharedServerOptions extends HandshakeOptions {
  /** How long the process stays when it has no session. */
  idleMs: number;
  now?: () => number;
}

/**
 * One server process of the handshake era (`sessionMode: shared`) and the conversations it has over one channel. To its
 * user each of them is a channel to a process of its own; what a process with one client can do and one with many cannot
 * is either told apart here, or not offered, or refused.
 */
export class SharedServer implements SharedProcess {
  readonly backlog: Backlog;
  private readonly sessions = new Set<VirtualChannel>();
  private readonly shared: SharedState;
  private readonly clientRouter: ClientRouter;
  private readonly serverRouter: ServerRouter;
  private opened = 0;
  private idle: NodeJS.Timeout | undefined;

  /**
   * @param channel a conversation that nobody has begun; it is ours from now on
   * @param onClosed called once, when the channel is closed, which may be at once; with all that the process said last
   */
  constructor(
    private readonly channel: Channel,
    private readonly options: SharedServerOptions,
    private readonly onClosed: (why: ChannelClosed) => void,
  ) {
    const { sessions } = this;
    const now = options.now ?? Date.now;
    this.backlog = new Backlog(now);
    const requests = new SharedRequests(now);
    const outbox = new Outbox(channel, () => void this.close('The server does not read its stdin'));
    const ask = new AskServer(requests, outbox);
    this.shared = {
      sessions,
      handshake: new SharedHandshake(options, ask, outbox, (fault) => void this.close(fault)),
      requests,
      serverRequests: new ServerRequests(),
      subscriptions: new Subscriptions(ask),
      logLevels: new LogLevels(sessions, ask),
      elicitations: new ElicitationIds(),
      outbox,
      backlog: this.backlog,
    };
    this.clientRouter = new ClientRouter(this.shared);
    this.serverRouter = new ServerRouter(this.shared);
    this.closeWhenIdle();
    channel.open({
      message: (message) => this.serverRouter.route(message),
      closed: (why) => this.finish(why),
    });
  }

  /** Undefined while the process runs; afterwards sessions are closed from the start. */
  get whyClosed(): ChannelClosed | undefined {
    return this.channel.whyClosed;
  }

  /** Sessions that are open. */
  get size(): number {
    return this.sessions.size;
  }

  /** Notifications of the server that no session got. */
  get dropped(): number {
    return this.serverRouter.dropped;
  }

  /**
   * stderr does not say which session it is about. What the process said before its handshake is about none, and where
   * there has been one session only, it may know.
   */
  get lastWords(): string {
    return this.isPrivate ? '' : this.channel.lastWords;
  }

  /** A conversation of the handshake era. Its `close` ends nothing but this session. */
  open(): Channel {
    const session = new VirtualChannel(this);
    const why = this.channel.whyClosed;
    if (why) {
      session.processGone(this.forClients(why));
      return session;
    }
    clearTimeout(this.idle);
    this.opened++;
    this.sessions.add(session);
    this.shared.logLevels.refresh();
    return session;
  }

  /** End the process and all sessions. Resolves when nothing of it is left; never rejects. */
  close(fault?: string): Promise<void> {
    return this.channel.close(fault);
  }

  fromClient(session: VirtualChannel, message: Envelope): Promise<void> | undefined {
    return this.clientRouter.route(session, message);
  }

  left(session: VirtualChannel): void {
    if (!this.sessions.delete(session) || this.channel.whyClosed) return;
    const { requests, serverRequests, subscriptions, logLevels, elicitations, outbox } = this.shared;
    outbox.drop(session);
    for (const { id } of requests.cancelAll(session)) {
      const reason = 'The client has left';
      void outbox.send(notificationText('notifications/cancelled', { requestId: id, reason }));
    }
    for (const rawId of serverRequests.takeAll(session)) {
      void outbox.send(errorText(rawId, { code: RPC.serverError, message: 'The client has left' }));
    }
    subscriptions.leave(session);
    logLevels.leave(session);
    elicitations.leave(session);
    if (this.sessions.size === 0) this.closeWhenIdle();
  }

  private get isPrivate(): boolean {
    return this.opened > 1 && this.shared.handshake.facts !== undefined;
  }

  private closeWhenIdle(): void {
    // The channel has deadlines of its own and never rejects.
    this.idle = setTimeout(() => void this.close(), this.options.idleMs).unref();
  }

  private finish(why: ChannelClosed): void {
    clearTimeout(this.idle);
    this.shared.handshake.close();
    this.shared.requests.clear();
    this.shared.serverRequests.clear();
    this.shared.outbox.close();
    const told = this.forClients(why);
    for (const session of this.sessions) session.processGone(told);
    this.onClosed(why);
  }

  private forClients({ cause, message }: ChannelClosed): ChannelClosed {
    return { cause, message: this.isPrivate ? withoutLastWords(message) : message };
  }
}

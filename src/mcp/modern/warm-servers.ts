import type { IncomingHttpHeaders } from 'node:http';
import { AppError } from '../../errors/app-error.js';
import type { ChannelClosed } from '../channels/channel.js';
import type { Upstream } from '../edges/upstream.js';
import { RPC } from '../jsonrpc/json-rpc.js';
import type { Outlet } from '../sessions/outlet.js';
import { SessionDirectory } from '../sessions/session-directory.js';
import { within } from '../../waiting/within.js';
import { ModernError } from './modern-error.js';
import { LISTEN, type ModernRequest } from './modern-request.js';
import { ModernServer, type Relayed } from './modern-server.js';
import { requireParamHeaders } from './param-headers.js';
import { OpenListen } from './open-listen.js';
import { keyOf, SilentListens } from './silent-listens.js';
import { WarmServer } from './warm-server.js';

/** A principal's first server stays warm for so long, those that were added for a rush for less. */
const IDLE_MS = 600_000;
const EXTRA_IDLE_MS = 30_000;
/** What a request waits for that of what its principal listens to. */
const AGREE_MS = 2000;

/**
 * The server processes that answer requests of the modern era, which has no sessions: they are kept per deployment and
 * principal, one as a rule, more where calls at once could not be told apart in one. Each counts as a session.
 */
export class WarmServers {
  private readonly servers = new Map<string, WarmServer[]>();
  private readonly silent = new SilentListens();

  constructor(
    private readonly sessions: SessionDirectory,
    private readonly now: () => number,
  ) {}

  /**
   * Relay a request; the outlet gets its notifications and exactly one answer. Throws `AppError` and `ModernError` where
   * no server could be asked. `headers`: of the request, where its transport has some.
   */
  async request(
    request: ModernRequest,
    outlet: Outlet,
    upstream: Upstream,
    headers: IncomingHttpHeaders | undefined,
    signal: AbortSignal,
  ): Promise<Relayed> {
    const native = await upstream.modern.isNative(signal);
    const warm = this.serverFor(request, upstream, native);
    warm.isForRequest = true;
    const release = this.use(warm, request, upstream);
    try {
      const server = await this.opened(warm, upstream);
      await upstream.untilJoined();
      if (headers && request.message.method === 'tools/call' && request.name !== undefined) {
        const declared = await warm.toolHeaders.of(request.name, server, this.now());
        const { text } = request.message;
        const range = request.arguments;
        requireParamHeaders(declared, headers, range && text.slice(range.start, range.end));
      }
      signal.throwIfAborted();
      if (request.message.method === LISTEN) return this.listen(request, outlet, upstream, server, release);
      return ask(server, request, outlet, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** A deployment is gone, and with it what its clients listen to. */
  endListens(deploymentId: string): void {
    this.silent.end(deploymentId);
  }

  /**
   * The process that serves all clients of a deployment is there again, and tells those who listen too. Aborted when it stops.
   * Never rejects.
   */
  async rejoin(deploymentId: string, signal: AbortSignal): Promise<void> {
    const waiting = this.silent.of(deploymentId);
    await Promise.allSettled(
      waiting.map(({ upstream, listen }) => this.goOn(upstream, listen.request, signal)),
    );
  }

  private async goOn(upstream: Upstream, request: ModernRequest, signal: AbortSignal): Promise<void> {
    const native = await upstream.modern.isNative(signal);
    signal.throwIfAborted();
    const warm = this.serverFor(request, upstream, native);
    const release = this.use(warm, request, upstream);
    try {
      await this.opened(warm, upstream);
    } finally {
      release();
    }
  }

  private listen(
    request: ModernRequest,
    outlet: Outlet,
    upstream: Upstream,
    server: ModernServer,
    release: () => void,
  ): Relayed {
    const listen = new OpenListen(request, outlet, (lost) => this.silent.add(upstream, lost));
    const relayed = ask(server, request, listen, release);
    listen.follow(relayed);
    const giveUp = (): void => {
      listen.cancel();
      this.silent.remove(upstream, listen);
    };
    return { cancel: giveUp, sent: relayed.sent };
  }

  /** The server, once it is there, and has agreed to what the principal listens to and had no server for. */
  private async opened(warm: WarmServer, upstream: Upstream): Promise<ModernServer> {
    const server = await (warm.opening ?? this.open(warm, upstream));
    const listens = this.silent.take(upstream);
    for (const listen of listens) {
      listen.begin();
      const release = this.use(warm, listen.request, upstream);
      listen.follow(ask(server, listen.request, listen, release));
    }
    if (listens.length > 0) {
      warm.agreed = within(AGREE_MS, Promise.all([warm.agreed, ...listens.map((one) => one.untilAgreed())]));
    }
    await warm.agreed;
    return server;
  }

  /** Finds one, or takes a place for a new one; throws `session_limit`. */
  private serverFor(request: ModernRequest, upstream: Upstream, native: boolean): WarmServer {
    const key = keyOf(upstream);
    const known = this.servers.get(key) ?? [];
    const { requestState } = request;
    if (!native && requestState !== undefined) {
      const holder = known.find((warm) => warm.holds(requestState));
      if (holder) return holder;
      throw new ModernError(
        200,
        RPC.invalidParams,
        'Invalid params: requestState is not valid, or no longer',
      );
    }
    const found = known.find((warm) => warm.native === native && warm.hasRoomFor(request));
    if (found) return found;
    this.sessions.reserve(upstream.owner.deploymentId, upstream.maxSessions);
    const warm = new WarmServer(SessionDirectory.newId(), native);
    this.sessions.add(warm.id, upstream.owner, {
      get inFlight() {
        return warm.inFlight;
      },
      get connected() {
        return warm.uses > 0;
      },
      expireCalls: (since) => warm.server?.expireCalls(since),
      sleep: (why) => this.sleep(key, warm, why),
      close: () => this.close(key, warm),
    });
    this.servers.set(key, [...known, warm]);
    return warm;
  }

  /** Not ended by the leaving of the client that came first: others may wait for it. Its deadlines are the upstream's. */
  private open(warm: WarmServer, upstream: Upstream): Promise<ModernServer> {
    const key = keyOf(upstream);
    const opening = (async () => {
      try {
        const { signal } = warm.unwanted;
        const { channel, parked } = await upstream.modern.open(warm.native, signal, warm.id);
        if (signal.aborted) {
          await channel.close();
          throw signal.reason;
        }
        warm.parked = parked;
        warm.server = new ModernServer(channel, () => this.forget(key, warm));
        upstream.onOpened();
        return warm.server;
      } catch (error) {
        this.forget(key, warm);
        throw error;
      }
    })();
    warm.opening = opening;
    return opening;
  }

  private use(warm: WarmServer, request: ModernRequest, upstream: Upstream): () => void {
    const release = warm.use(request);
    return () => {
      release();
      this.sessions.touch(warm.id);
      if (warm.uses === 0) this.closeWhenIdle(keyOf(upstream), warm);
    };
  }

  private closeWhenIdle(key: string, warm: WarmServer): void {
    clearTimeout(warm.idleTimer);
    const place = this.servers.get(key)?.indexOf(warm) ?? -1;
    if (place < 0) return;
    warm.idleTimer = setTimeout(
      () => {
        if (warm.uses > 0) return;
        // A parked call has its own, shorter deadline.
        if (warm.inFlight > 0) this.closeWhenIdle(key, warm);
        else void this.close(key, warm);
      },
      place === 0 ? IDLE_MS : EXTRA_IDLE_MS,
    ).unref();
  }

  /**
   * One on its way that a request asks for is left alone: what stops may be part of what brings it. One that is only to tell
   * those who listen is given up, or it would wake what is about to sleep. Never rejects.
   */
  private async sleep(key: string, warm: WarmServer, why: string): Promise<void> {
    if (warm.server) return this.close(key, warm);
    if (warm.isForRequest) return;
    warm.unwanted.abort(new AppError('server_stopped', { detail: why }));
    this.forget(key, warm);
  }

  /** Never rejects. */
  private async close(key: string, warm: WarmServer): Promise<void> {
    this.forget(key, warm);
    const server = warm.server ?? (await warm.opening?.catch(() => undefined));
    await server?.close();
  }

  private forget(key: string, warm: WarmServer): void {
    clearTimeout(warm.idleTimer);
    this.sessions.remove(warm.id);
    const left = (this.servers.get(key) ?? []).filter((other) => other !== warm);
    if (left.length > 0) this.servers.set(key, left);
    else this.servers.delete(key);
  }
}

/** `release` is called when it is answered, given up, or its server is lost. */
function ask(server: ModernServer, request: ModernRequest, outlet: Outlet, release: () => void): Relayed {
  const relayed = server.request(request, releasingOutlet(outlet, release));
  const cancel = (): void => {
    relayed.cancel();
    release();
  };
  return { cancel, sent: relayed.sent };
}

function releasingOutlet(outlet: Outlet, release: () => void): Outlet {
  return {
    get open() {
      return outlet.open;
    },
    deliver(text, last) {
      if (last) release();
      return outlet.deliver(text, last);
    },
    ...(outlet.lost && {
      lost: (why: ChannelClosed): void => {
        release();
        outlet.lost?.(why);
      },
    }),
  };
}

import { randomBytes } from 'node:crypto';
import { AppError } from '../../errors/app-error.js';

/** Whose session it is; from anywhere else it does not exist. */
export interface SessionOwner {
  deploymentId: string;
  /** Who authenticated, as one comparable string. */
  principal: string;
}

export interface LiveSession {
  /** Client requests that wait for an answer. */
  readonly inFlight: number;
  /** How many of them another session has as well, whose process is to answer. */
  readonly inFlightElsewhere?: number;
  /** True while a connection of its client is open, however little is said. */
  readonly connected?: boolean;
  /** True: it can be found again elsewhere, so it may be forgotten here. */
  readonly isKept?: boolean;
  /** End its server process; it goes on with its next request. Absent: it ends together with its process. */
  sleep?(why: string): Promise<void>;
  /** Go on with a server process without a request. Rejects where there is none to be had; the next request says why. */
  rejoin?(): Promise<void>;
  /** Give up calls of which nothing was heard since (milliseconds since 1970). */
  expireCalls?(since: number): void;
  close(): Promise<void>;
}

/** The class of an edge's sessions. */
type SessionKind<T> = abstract new (...args: never[]) => T;

/** A session as it is now. */
export interface KnownSession {
  id: string;
  /** Of several sessions that have the same request, the one whose process is to answer counts it. */
  inFlight: number;
  /** True while a connection of its client is open. */
  isConnected: boolean;
  /** It has a server process, or is about to. */
  hasPlace: boolean;
  /** Milliseconds since 1970. */
  lastUsedAt: number;
}

interface Entry<S> {
  owner: SessionOwner;
  session: S;
  lastUsedAt: number;
  /** Since when it goes on without a server process of its own, and takes nobody's place; undefined: it has both. */
  restingSince: number | undefined;
}

/** At the limit, the process of a session unused for so long gives way to a new one: many clients leave without a DELETE. */
const REPLACEABLE_AFTER_MS = 10 * 60_000;
const DAY_MS = 24 * 3_600_000;

/** All live sessions by id, with the limit of each deployment. */
export class SessionDirectory<S extends LiveSession = LiveSession> {
  private readonly entries = new Map<string, Entry<S>>();
  /** Sessions that hold a place per deployment: open ones and those being opened. */
  private readonly places = new Map<string, number>();

  constructor(
    private readonly now: () => number,
    readonly expiresAfterMs = DAY_MS,
  ) {}

  /** A new session id: 256 random bits in visible ASCII. */
  static newId(): string {
    return randomBytes(32).toString('base64url');
  }

  /**
   * The session if it is the owner's, and of this kind: a session of one edge does not exist on another. Using it keeps
   * it alive.
   */
  find(id: string, owner: SessionOwner): S | undefined;
  find<T extends S>(id: string, owner: SessionOwner, kind: SessionKind<T>): T | undefined;
  find(id: string, owner: SessionOwner, kind?: SessionKind<S>): S | undefined {
    const entry = this.entries.get(id);
    if (
      !entry ||
      entry.owner.deploymentId !== owner.deploymentId ||
      entry.owner.principal !== owner.principal ||
      (kind && !(entry.session instanceof kind))
    ) {
      return undefined;
    }
    entry.lastUsedAt = this.now();
    return entry.session;
  }

  /** A session that answered just now is not idle, however long ago it was asked. */
  touch(id: string): void {
    const entry = this.entries.get(id);
    if (entry) entry.lastUsedAt = this.now();
  }

  /**
   * Take a place for a session that is about to be opened. Throws `session_limit`. Give it back with `release`, or
   * turn it into a session with `add`.
   */
  reserve(deploymentId: string, limit: number): void {
    if (this.count(deploymentId) >= limit) this.replaceIdle(deploymentId, limit);
    this.places.set(deploymentId, this.count(deploymentId) + 1);
  }

  release(deploymentId: string): void {
    const left = this.count(deploymentId) - 1;
    if (left > 0) this.places.set(deploymentId, left);
    else this.places.delete(deploymentId);
  }

  /** `hasPlace` false: it has no server process yet, and no place was reserved for it. */
  add(id: string, owner: SessionOwner, session: S, hasPlace = true): void {
    const now = this.now();
    this.entries.set(id, { owner, session, lastUsedAt: now, restingSince: hasPlace ? undefined : now });
  }

  /** Take a place for the next server process of a session. Throws `session_limit`. */
  occupy(id: string, limit: number): void {
    const entry = this.entries.get(id);
    if (entry?.restingSince === undefined) return;
    this.reserve(entry.owner.deploymentId, limit);
    entry.restingSince = undefined;
  }

  /** Forget a session that is closed, and give its place back. */
  remove(id: string): void {
    const entry = this.entries.get(id);
    if (!entry) return;
    this.vacate(id);
    this.entries.delete(id);
  }

  /** Give back the place of a session that goes on without a server process of its own. */
  vacate(id: string): void {
    const entry = this.entries.get(id);
    if (!entry || entry.restingSince !== undefined) return;
    entry.restingSince = this.now();
    this.release(entry.owner.deploymentId);
  }

  /** Those of a deployment, in the order in which they came. */
  list(deploymentId: string): KnownSession[] {
    const own = [...this.entries].filter(([, { owner }]) => owner.deploymentId === deploymentId);
    return own.map(([id, { session, lastUsedAt, restingSince }]) => ({
      id,
      inFlight: ownInFlight(session),
      isConnected: session.connected === true,
      hasPlace: restingSince === undefined,
      lastUsedAt,
    }));
  }

  /** Close one session for good. Resolves when nothing of it is left; never rejects. */
  async close(id: string): Promise<void> {
    const session = this.entries.get(id)?.session;
    this.remove(id);
    await session?.close();
  }

  /** Close all sessions of a deployment, or all there are. */
  async closeAll(deploymentId?: string): Promise<void> {
    await this.closeWhere((entry) => deploymentId === undefined || entry.owner.deploymentId === deploymentId);
  }

  /** End all server processes of a deployment, or all there are. Sessions that can go on without do. */
  async stopAll(why: string, deploymentId?: string): Promise<void> {
    const stopping = [...this.entries].filter(
      ([, { owner }]) => deploymentId === undefined || owner.deploymentId === deploymentId,
    );
    await Promise.all(stopping.map(([id]) => this.stop(id, why)));
  }

  /**
   * End the server processes of sessions that nobody has used for as long as their deployment allows, and forget
   * sessions here that have had none for as long. `idleMsOf`: milliseconds; Infinity: never.
   */
  async stopIdle(idleMsOf: (deploymentId: string, connected: boolean) => number): Promise<void> {
    const stopping: string[] = [];
    for (const [id, { owner, session, lastUsedAt, restingSince }] of this.entries) {
      const before = this.now() - idleMsOf(owner.deploymentId, session.connected === true);
      if (session.sleep === undefined || session.inFlight > 0 || lastUsedAt > before) continue;
      if (restingSince === undefined) stopping.push(id);
      else if (restingSince <= before && session.isKept === true && session.connected !== true) {
        this.entries.delete(id);
      }
    }
    await Promise.all(stopping.map((id) => this.stop(id, 'The session was idle')));
  }

  /** Let sessions that have no server process, but a client that listens, go on with one. Never rejects. */
  async rejoin(deploymentId: string): Promise<void> {
    const listening = [...this.entries.values()].filter(
      ({ owner, session, restingSince }) =>
        owner.deploymentId === deploymentId && restingSince !== undefined && session.connected === true,
    );
    await Promise.allSettled(listening.map(async ({ session }) => session.rejoin?.()));
  }

  /** Close what nobody has used for too long, also where the server still owes an answer: nobody waits for it any more. */
  async expire(): Promise<void> {
    const before = this.now() - this.expiresAfterMs;
    // A kept session ends in its store as well, which knows nothing of connections.
    await this.closeWhere(
      ({ lastUsedAt, session }) =>
        lastUsedAt < before && (session.connected !== true || session.isKept === true),
    );
  }

  /** Give up calls that take longer than any may: nothing else ends what holds a deployment awake. */
  expireCalls(longestMs: number): void {
    const since = this.now() - longestMs;
    for (const { session } of this.entries.values()) session.expireCalls?.(since);
  }

  /** True while a client of the deployment waits for an answer, or can still fetch one. */
  isBusy(deploymentId: string): boolean {
    return [...this.entries.values()].some(
      ({ owner, session }) => owner.deploymentId === deploymentId && session.inFlight > 0,
    );
  }

  /** For how many answers clients of the deployment wait, each counted once. */
  inFlight(deploymentId: string): number {
    let count = 0;
    for (const { owner, session } of this.entries.values()) {
      if (owner.deploymentId === deploymentId) count += ownInFlight(session);
    }
    return count;
  }

  /** Sessions with a server process, and those being opened. */
  count(deploymentId: string): number {
    return this.places.get(deploymentId) ?? 0;
  }

  /** All that are known here, with and without a process. */
  get size(): number {
    return this.entries.size;
  }

  /** How many of them have a server process of their own, and how many go on without. */
  tally(): { serving: number; resting: number } {
    let serving = 0;
    for (const { restingSince } of this.entries.values()) if (restingSince === undefined) serving++;
    return { serving, resting: this.entries.size - serving };
  }

  /** Never rejects; it has deadlines of its own. */
  private stop(id: string, why: string): Promise<void> {
    const session = this.entries.get(id)?.session;
    if (!session) return Promise.resolve();
    if (session.sleep === undefined) {
      this.remove(id);
      return session.close();
    }
    // It gives its place back as soon as its process is told to end.
    return session.sleep(why);
  }

  private async closeWhere(matches: (entry: Entry<S>) => boolean): Promise<void> {
    const closing = [...this.entries].filter(([, entry]) => matches(entry));
    for (const [id] of closing) this.remove(id);
    await Promise.all(closing.map(([, entry]) => entry.session.close()));
  }

  private replaceIdle(deploymentId: string, limit: number): void {
    const idle = [...this.entries]
      .filter(
        ([, entry]) =>
          entry.owner.deploymentId === deploymentId &&
          entry.restingSince === undefined &&
          isIdle(entry.session),
      )
      .sort(([, a], [, b]) => a.lastUsedAt - b.lastUsedAt)[0];
    if (!idle || idle[1].lastUsedAt > this.now() - REPLACEABLE_AFTER_MS) {
      throw new AppError('session_limit', {
        detail: `all ${limit} are in use; end one, or raise maxSessions`,
        retryAfterSeconds: 10,
      });
    }
    void this.stop(idle[0], 'Its place was needed for another session');
  }
}

function ownInFlight({ inFlight, inFlightElsewhere = 0 }: LiveSession): number {
  return inFlight - inFlightElsewhere;
}

function isIdle(session: LiveSession): boolean {
  return session.inFlight === 0 && (session.connected !== true || session.sleep !== undefined);
}

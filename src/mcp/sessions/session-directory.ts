import { randomBytes } from 'node:crypto';
import { AppError } from '../../errors/app-error.js';

/** Whose session it is; from anywhere else it does not exist. */
export interface SessionOwner {
  deploymentId: string;
  /** Who authenticated, as one comparable string. */
  principal: string;
}

export interface Closable {
  /** Client requests that wait for an answer. */
  readonly inFlight: number;
  /** True while a connection of its client is the session: then it is in use, however little is said. */
  readonly connected?: boolean;
  close(): Promise<void>;
}

/** The class of an edge's sessions. */
type SessionKind<T> = abstract new (...args: never[]) => T;

interface Entry<S> {
  owner: SessionOwner;
  session: S;
  lastUsedAt: number;
  /** False: it goes on without a server process of its own, and takes nobody's place. */
  hasPlace: boolean;
}

/** At the limit, a session unused for so long gives way to a new one: many clients leave without a DELETE. */
const REPLACEABLE_AFTER_MS = 10 * 60_000;
const EXPIRES_AFTER_MS = 24 * 3_600_000;

/** All live sessions by id, with the limit of each deployment. */
export class SessionDirectory<S extends Closable = Closable> {
  private readonly entries = new Map<string, Entry<S>>();
  /** Sessions that hold a place per deployment: open ones and those being opened. */
  private readonly places = new Map<string, number>();

  constructor(private readonly now: () => number) {}

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

  add(id: string, owner: SessionOwner, session: S): void {
    this.entries.set(id, { owner, session, lastUsedAt: this.now(), hasPlace: true });
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
    if (!entry?.hasPlace) return;
    entry.hasPlace = false;
    this.release(entry.owner.deploymentId);
  }

  /** Close all sessions of a deployment, or all there are. */
  async closeAll(deploymentId?: string): Promise<void> {
    await this.closeWhere((entry) => deploymentId === undefined || entry.owner.deploymentId === deploymentId);
  }

  /** Close what nobody has used for a day, also where the server still owes an answer: nobody waits for it any more. */
  async expire(): Promise<void> {
    const before = this.now() - EXPIRES_AFTER_MS;
    await this.closeWhere((entry) => entry.lastUsedAt < before && entry.session.connected !== true);
  }

  /** Open sessions, and those being opened. */
  count(deploymentId: string): number {
    return this.places.get(deploymentId) ?? 0;
  }

  private async closeWhere(matches: (entry: Entry<S>) => boolean): Promise<void> {
    const closing = [...this.entries].filter(([, entry]) => matches(entry));
    for (const [id] of closing) this.remove(id);
    await Promise.all(closing.map(([, entry]) => entry.session.close()));
  }

  private replaceIdle(deploymentId: string, limit: number): void {
    const idle = [...this.entries]
      .filter(([, { owner, session }]) => owner.deploymentId === deploymentId && isIdle(session))
      .sort(([, a], [, b]) => a.lastUsedAt - b.lastUsedAt)[0];
    if (!idle || idle[1].lastUsedAt > this.now() - REPLACEABLE_AFTER_MS) {
      throw new AppError('session_limit', {
        detail: `all ${limit} are in use; end one, or raise maxSessions`,
        retryAfterSeconds: 10,
      });
    }
    this.remove(idle[0]);
    // Closing has its own deadlines and never rejects; the new session need not wait for it.
    void idle[1].session.close();
  }
}

function isIdle(session: Closable): boolean {
  return session.inFlight === 0 && session.connected !== true;
}

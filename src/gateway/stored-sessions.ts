import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { Config } from '../config/config.js';
import { SessionStore, type StoredSession } from '../mcp/sessions/session-store.js';
import { SessionsRepository } from './sessions.repository.js';

const FLUSH_INTERVAL_MS = 5000;

/** Sessions in SQLite. When they were used is kept in memory for a moment, so that no message waits for a write. */
@Injectable()
export class StoredSessions
  extends SessionStore
  implements OnApplicationBootstrap, BeforeApplicationShutdown
{
  private readonly logger = new Logger(StoredSessions.name);
  private readonly used = new Map<string, number>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly repository: SessionsRepository,
    private readonly config: Config,
  ) {
    super();
  }

  override save(session: StoredSession, now: number): void {
    this.repository.save(session, now);
  }

  override find(id: string, now: number): StoredSession | undefined {
    const row = this.repository.find(id);
    if (!row || (this.used.get(id) ?? row.lastUsedAt) < now - this.expiresAfterMs) return undefined;
    const { deploymentId, principal, initialize, protocolVersion, logLevel, subscriptions } = row;
    return {
      id,
      owner: { deploymentId, principal },
      state: { initialize, protocolVersion, logLevel: logLevel ?? undefined, subscriptions },
    };
  }

  override touch(id: string, now: number): void {
    this.used.set(id, now);
  }

  override remove(id: string): void {
    this.used.delete(id);
    this.repository.remove(id);
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => this.flush(Date.now()), FLUSH_INTERVAL_MS).unref();
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.timer);
    this.flush(Date.now());
  }

  /** Write what is known to the rows, and remove what has expired. */
  flush(now: number): void {
    try {
      if (this.used.size > 0) this.repository.recordUse(this.used);
      this.used.clear();
      this.repository.removeUnusedSince(now - this.expiresAfterMs);
    } catch (error) {
      // Kept in memory; the next round writes it.
      this.logger.error(error);
    }
  }

  private get expiresAfterMs(): number {
    return this.config.sessionExpiresAfterSeconds * 1000;
  }
}

import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { and, desc, eq, inArray, lt, sql } from 'drizzle-orm';
import { Database } from '../database/database.js';
import type { StoredSession } from '../mcp/sessions/session-store.js';
import { type SessionRow, sessions } from './session.table.js';

/** Of one deployment; the ones that were unused for longest go first. */
const MAX_STORED = 2_000;
/** An offset needs a limit. */
const ALL = 1_000_000;

/**
 * All SQL on sessions. Synchronous. On the connection that does not wait for the disk: a session survives the end of the
 * process, and only a power cut can cost the last moments.
 */
@Injectable()
export class SessionsRepository {
  private readonly byHash;

  constructor(private readonly database: Database) {
    this.byHash = database.relaxed
      .select()
      .from(sessions)
      .where(eq(sessions.idHash, sql.placeholder('idHash')))
      .prepare();
  }

  /** Made or changed; what was stored before for this id is replaced. */
  save({ id, owner, state }: StoredSession, now: number): void {
    const changing = {
      initialize: state.initialize,
      protocolVersion: state.protocolVersion,
      logLevel: state.logLevel ?? null,
      subscriptions: [...state.subscriptions],
      lastUsedAt: now,
    };
    const { deploymentId, principal } = owner;
    this.database.relaxed
      .insert(sessions)
      .values({ idHash: hashOf(id), deploymentId, principal, createdAt: now, ...changing })
      .onConflictDoUpdate({ target: sessions.idHash, set: changing })
      .run();
    this.trim(deploymentId);
  }

  find(id: string): SessionRow | undefined {
    return this.byHash.get({ idHash: hashOf(id) });
  }

  remove(id: string): void {
    this.database.relaxed
      .delete(sessions)
      .where(eq(sessions.idHash, hashOf(id)))
      .run();
  }

  /** Id and time of the last use of each; one transaction. The clock never goes back. */
  recordUse(times: Iterable<[id: string, at: number]>): void {
    this.database.relaxed.transaction(
      (tx) => {
        for (const [id, at] of times) {
          tx.update(sessions)
            .set({ lastUsedAt: at })
            .where(and(eq(sessions.idHash, hashOf(id)), lt(sessions.lastUsedAt, at)))
            .run();
        }
      },
      { behavior: 'immediate' },
    );
  }

  removeUnusedSince(before: number): void {
    this.database.relaxed.delete(sessions).where(lt(sessions.lastUsedAt, before)).run();
  }

  private trim(deploymentId: string): void {
    const { relaxed } = this.database;
    const tooMany = relaxed
      .select({ idHash: sessions.idHash })
      .from(sessions)
      .where(eq(sessions.deploymentId, deploymentId))
      .orderBy(desc(sessions.lastUsedAt))
      .limit(ALL)
      .offset(MAX_STORED);
    relaxed.delete(sessions).where(inArray(sessions.idHash, tooMany)).run();
  }
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('hex');
}

import { Injectable } from '@nestjs/common';
import { and, asc, eq, lt, sql } from 'drizzle-orm';
import { Database } from '../database/database.js';
import type { Status } from './deployment.js';
import { type DeploymentRow, deployments } from './deployment.table.js';

/** A settled deployment that was idle for too long, and what is to become of it. */
export interface Due {
  id: string;
  what: 'delete' | 'pause';
}

/** All SQL on how long deployments have been idle. Synchronous. */
@Injectable()
export class IdleClockRepository {
  constructor(private readonly database: Database) {}

  /** Those that run and were used least recently, before `before`; the oldest first. */
  listIdle(before: number, limit: number): DeploymentRow[] {
    return this.database.orm
      .select()
      .from(deployments)
      .where(and(eq(deployments.status, 'running'), lt(deployments.lastActivityAt, before)))
      .orderBy(asc(deployments.lastActivityAt))
      .limit(limit)
      .all();
  }

  /** Settled deployments that were idle for too long; one search of two indexes, however many there are. */
  listDue(now: number, limit: number): Due[] {
    return this.database.orm.all<Due>(sql`${dueQuery(now)} limit ${limit}`);
  }

  /** How SQLite goes about `listDue`, a line for each step. */
  explainDue(now: number): string[] {
    const steps = this.database.orm.all<{ detail: string }>(sql`explain query plan ${dueQuery(now)}`);
    return steps.map(({ detail }) => detail);
  }

  /** Id and time of the last activity of each; one transaction. The clock never goes back. */
  recordActivity(times: Iterable<[id: string, at: number]>): void {
    this.database.relaxed.transaction(
      (tx) => {
        for (const [id, at] of times) {
          tx.update(deployments)
            .set(clockFrom(at))
            .where(and(eq(deployments.id, id), lt(deployments.lastActivityAt, at)))
            .run();
        }
      },
      { behavior: 'immediate' },
    );
  }
}

/** `at` undefined: from the last activity as it stands. `status` undefined: as it stands. */
export function clockFrom(at: number | undefined, status?: Status) {
  const from = at === undefined ? sql`${deployments.lastActivityAt}` : sql`${at}`;
  const isRunning =
    status === undefined ? sql`${deployments.status} = 'running'` : sql.raw(status === 'running' ? '1' : '0');
  return {
    ...(at !== undefined && { lastActivityAt: at }),
    deleteAt: sql`${from} + ${deployments.deleteAfterSeconds} * 1000`,
    pauseAt: sql`case when ${isRunning} then ${from} + ${deployments.pauseAfterSeconds} * 1000 end`,
  };
}

// The `+` keeps SQLite from taking the index of statuses, which would lead it to every paused deployment there is.
function dueQuery(now: number) {
  return sql`select ${deployments.id} as id, 'delete' as what from ${deployments}
      where ${deployments.deleteAt} <= ${now} and +${deployments.status} in ('running', 'paused', 'failed')
    union all
    select ${deployments.id} as id, 'pause' as what from ${deployments}
      where ${deployments.pauseAt} <= ${now} and +${deployments.status} = 'running'`;
}

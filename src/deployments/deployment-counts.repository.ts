import { Injectable } from '@nestjs/common';
import { count } from 'drizzle-orm';
import { Database } from '../database/database.js';
import { STATUSES, type Status } from './deployment.js';
import { deployments } from './deployment.table.js';

/** How many deployments there are. Synchronous; one pass over the index of statuses. */
@Injectable()
export class DeploymentCountsRepository {
  constructor(private readonly database: Database) {}

  /** Of all tenants; zero where there is none. */
  byStatus(): Record<Status, number> {
    const counts = Object.fromEntries(STATUSES.map((status) => [status, 0])) as Record<Status, number>;
    const rows = this.database.orm
      .select({ status: deployments.status, found: count() })
      .from(deployments)
      .groupBy(deployments.status)
      .all();
    for (const { status, found } of rows) counts[status] = found;
    return counts;
  }
}

import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { tenants } from './tenant.table.js';

@Injectable()
export class TenantsRepository {
  constructor(private readonly database: Database) {}

  /** Make the tenant unless it exists. */
  ensure(id: string, now: number): void {
    this.database.orm.insert(tenants).values({ id, createdAt: now }).onConflictDoNothing().run();
  }
}

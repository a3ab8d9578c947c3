import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';

export const tenants = sqliteTable('tenants', {
  /** `tn_…` */
  id: text().primaryKey(),
  createdAt: integer().notNull(),
});

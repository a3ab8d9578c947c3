import { index, integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { deployments } from '../deployments/deployment.table.js';

/** What it takes to bring a session's server process back. Times are milliseconds since 1970. */
export const sessions = sqliteTable(
  'sessions',
  {
    /** SHA-256 of the session id, which opens the session and so is kept by the client only. */
    idHash: text().primaryKey(),
    deploymentId: text()
      .notNull()
      .references(() => deployments.id, { onDelete: 'cascade' }),
    principal: text().notNull(),
    /** The params of the client's `initialize`, as JSON text. */
    initialize: text().notNull(),
    /** As it was negotiated. */
    protocolVersion: text().notNull(),
    /** The params of the client's last `logging/setLevel`, as JSON text; null: it sent none. */
    logLevel: text(),
    /** URIs of the resources that the client is subscribed to. */
    subscriptions: text({ mode: 'json' }).$type<string[]>().notNull(),
    createdAt: integer().notNull(),
    lastUsedAt: integer().notNull(),
  },
  (table) => [
    index('sessions_deployment').on(table.deploymentId, table.lastUsedAt),
    index('sessions_last_used').on(table.lastUsedAt),
  ],
);

export type SessionRow = typeof sessions.$inferSelect;

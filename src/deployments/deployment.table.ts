import { index, integer, real, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
import { tenants } from '../tenancy/tenant.table.js';
import type { Access, ReasonCode, SessionMode, Status, TransportType } from './deployment.js';

/** Times are milliseconds since 1970. What the user asked for, what the reconciler made of it, and when it was used. */
export const deployments = sqliteTable(
  'deployments',
  {
    id: text().primaryKey(),
    tenantId: text()
      .notNull()
      .references(() => tenants.id),
    name: text(),
    image: text().notNull(),
    /** In place of the image's CMD; null keeps it. */
    args: text({ mode: 'json' }).$type<string[]>(),
    env: text({ mode: 'json' }).$type<Record<string, string>>().notNull(),
    transport: text().$type<TransportType>().notNull(),
    /** Where a server that speaks HTTP listens in its sandbox, as the user wrote it; null for stdio. */
    endpoint: text(),
    maxMemoryMb: integer().notNull(),
    maxCpus: real().notNull(),
    maxPids: integer().notNull(),
    maxDiskMb: integer().notNull(),
    pauseAfterSeconds: integer(),
    deleteAfterSeconds: integer(),
    sessionIdleSeconds: integer().notNull().default(600),
    metadata: text({ mode: 'json' }).$type<Record<string, string>>().notNull(),
    sessionMode: text().$type<SessionMode>().notNull(),
    maxSessions: integer().notNull(),
    warmProcesses: integer().notNull(),
    startTimeoutSeconds: integer().notNull(),
    access: text().$type<Access>().notNull(),
    /** SHA-256 of the deployment's own access token. */
    accessTokenHash: text().notNull(),

    /** Also the gid. */
    uid: integer().notNull(),
    /** First address of the /29, as a number. */
    subnetAddress: integer().notNull(),

    status: text().$type<Status>().notNull(),
    reasonCode: text().$type<ReasonCode>().notNull(),
    reasonMessage: text().notNull(),
    reasonAt: integer().notNull(),
    /** Counts the changes of status; fences what was decided on an older one. */
    revision: integer().notNull(),
    /** True: something of it may be in the engine, so it has to be removed before the row may go. */
    hasRemains: integer({ mode: 'boolean' }).notNull(),

    /** The sandbox that last ran; null when there is none. */
    containerId: text(),
    runtime: text(),
    networkName: text(),
    imageId: text(),
    /** True: a system account stands behind the uid. */
    hasAccount: integer({ mode: 'boolean' }).notNull(),

    createdAt: integer().notNull(),
    lastActivityAt: integer().notNull(),
    /** When it is paused unless a message passes before; null unless it runs. */
    pauseAt: integer(),
    deleteAt: integer(),
  },
  (table) => [
    uniqueIndex('deployments_uid').on(table.uid),
    uniqueIndex('deployments_subnet').on(table.subnetAddress),
    index('deployments_page').on(table.tenantId, table.createdAt, table.id),
    index('deployments_pause_at').on(table.pauseAt),
    index('deployments_delete_at').on(table.deleteAt),
    index('deployments_status').on(table.status),
  ],
);

export type DeploymentRow = typeof deployments.$inferSelect;

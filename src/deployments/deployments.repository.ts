import { Injectable } from '@nestjs/common';
import { and, asc, desc, eq, inArray, isNotNull, isNull, lt, notBetween, or, sql } from 'drizzle-orm';
import { Config } from '../config/config.js';
import { type Ipv4Range, parseCidr } from '../config/ipv4.js';
import { Database } from '../database/database.js';
import { AppError } from '../errors/app-error.js';
import { type Status, type StatusReason, sourcesOf } from './deployment.js';
import { type DeploymentRow, deployments } from './deployment.table.js';
import { clockFrom } from './idle-clock.repository.js';

/** What a new deployment is to be; the repository adds the owner, the numbers from the pools and the state. */
export type NewDeployment = Pick<
  DeploymentRow,
  | 'id'
  | 'name'
  | 'image'
  | 'args'
  | 'env'
  | 'transport'
  | 'endpoint'
  | 'maxMemoryMb'
  | 'maxCpus'
  | 'maxPids'
  | 'maxDiskMb'
  | 'pauseAfterSeconds'
  | 'deleteAfterSeconds'
  | 'sessionIdleSeconds'
  | 'metadata'
  | 'sessionMode'
  | 'maxSessions'
  | 'warmProcesses'
  | 'startTimeoutSeconds'
  | 'access'
  | 'accessTokenHash'
>;

/** What else becomes true together with a status. */
export type SandboxFacts = Partial<
  Pick<DeploymentRow, 'containerId' | 'runtime' | 'networkName' | 'imageId' | 'hasAccount' | 'hasRemains'>
>;

/** How a change of status differs from the usual. */
export interface Change {
  facts?: SandboxFacts;
  /** Only from these; any status from which it is possible otherwise. */
  from?: readonly Status[];
  /** It ran all the time, so its idle clock goes on. */
  isSameRun?: boolean;
}

/** What of a deployment can be changed while it lives. */
export type DeploymentPatch = Partial<
  Pick<
    DeploymentRow,
    | 'name'
    | 'metadata'
    | 'pauseAfterSeconds'
    | 'deleteAfterSeconds'
    | 'sessionIdleSeconds'
    | 'maxSessions'
    | 'warmProcesses'
    | 'startTimeoutSeconds'
    | 'maxMemoryMb'
    | 'maxCpus'
    | 'maxPids'
  >
>;

export interface DeploymentFilter {
  status?: Status | undefined;
  image?: string | undefined;
  name?: string | undefined;
}

/** Where the page before this one ended. */
export interface PagePosition {
  createdAt: number;
  id: string;
}

const SUBNET_SIZE = 8;

/** All SQL on deployments. Synchronous; each change is one statement or one transaction. */
@Injectable()
export class DeploymentsRepository {
  private readonly pool: Ipv4Range;
  private readonly byId;

  constructor(
    private readonly database: Database,
    private readonly config: Config,
  ) {
    const pool = parseCidr(config.sandboxSubnetPool);
    if (pool === undefined) throw new TypeError('SANDBOX_SUBNET_POOL is not an IPv4 network');
    this.pool = pool;
    // On the data path: prepared once, some ten microseconds per call.
    this.byId = database.orm
      .select()
      .from(deployments)
      .where(eq(deployments.id, sql.placeholder('id')))
      .prepare();
  }

  find(id: string): DeploymentRow | undefined {
    return this.byId.get({ id });
  }

  findForTenant(tenantId: string, id: string): DeploymentRow | undefined {
    const row = this.find(id);
    return row?.tenantId === tenantId ? row : undefined;
  }

  /** Newest first. */
  list(
    tenantId: string,
    filter: DeploymentFilter,
    after: PagePosition | undefined,
    limit: number,
  ): DeploymentRow[] {
    return this.database.orm
      .select()
      .from(deployments)
      .where(
        and(
          eq(deployments.tenantId, tenantId),
          filter.status && eq(deployments.status, filter.status),
          filter.image === undefined ? undefined : eq(deployments.image, filter.image),
          filter.name === undefined ? undefined : eq(deployments.name, filter.name),
          after &&
            or(
              lt(deployments.createdAt, after.createdAt),
              and(eq(deployments.createdAt, after.createdAt), lt(deployments.id, after.id)),
            ),
        ),
      )
      .orderBy(desc(deployments.createdAt), desc(deployments.id))
      .limit(limit)
      .all();
  }

  /** A new row with the lowest free uid and subnet. Throws `uid_pool_exhausted`, `address_pool_exhausted`. */
  create(
    tenantId: string,
    values: NewDeployment,
    status: 'pending' | 'paused',
    reason: StatusReason,
    now: number,
  ): DeploymentRow {
    const { sandboxUidFirst, sandboxUidLast } = this.config;
    return this.database.orm.transaction(
      (tx) => {
        const uid = this.lowestFree(tx, deployments.uid, sandboxUidFirst, sandboxUidLast, 1);
        if (uid === undefined) throw new AppError('uid_pool_exhausted');
        const lastSubnet = this.pool.last - SUBNET_SIZE + 1;
        const subnetAddress = this.lowestFree(
          tx,
          deployments.subnetAddress,
          this.pool.first,
          lastSubnet,
          SUBNET_SIZE,
        );
        if (subnetAddress === undefined) throw new AppError('address_pool_exhausted');
        return tx
          .insert(deployments)
          .values({
            ...values,
            tenantId,
            uid,
            subnetAddress,
            status,
            ...columnsOf(reason, now),
            revision: 0,
            hasRemains: false,
            hasAccount: false,
            createdAt: now,
            lastActivityAt: now,
            deleteAt: values.deleteAfterSeconds === null ? null : now + values.deleteAfterSeconds * 1000,
          })
          .returning()
          .get();
      },
      { behavior: 'immediate' },
    );
  }

  /** Undefined: the row is gone, or another change came first. Running and failed restart the idle clock. */
  transition(
    id: string,
    to: Status,
    reason: StatusReason,
    now: number,
    { facts, from = sourcesOf(to), isSameRun = false }: Change = {},
  ): DeploymentRow | undefined {
    const clock = to === 'running' || to === 'failed' ? clockFrom(isSameRun ? undefined : now, to) : {};
    return this.database.orm
      .update(deployments)
      .set({
        status: to,
        pauseAt: null,
        ...columnsOf(reason, now),
        ...facts,
        ...clock,
        revision: sql`${deployments.revision} + 1`,
      })
      .where(and(eq(deployments.id, id), inArray(deployments.status, [...from])))
      .returning()
      .get();
  }

  /** Undefined: the row is gone. Its clocks count from the last activity on, with the new times. */
  patch(id: string, changes: DeploymentPatch): DeploymentRow | undefined {
    return this.database.orm.transaction(
      (tx) => {
        const where = eq(deployments.id, id);
        if (Object.keys(changes).length > 0) tx.update(deployments).set(changes).where(where).run();
        return tx.update(deployments).set(clockFrom(undefined)).where(where).returning().get();
      },
      { behavior: 'immediate' },
    );
  }

  /** New words, and facts, for a status that stays. Nothing happens when it has changed meanwhile. */
  annotate(id: string, status: Status, reason: StatusReason, now: number, facts: SandboxFacts = {}): void {
    this.database.orm
      .update(deployments)
      .set({ ...columnsOf(reason, now), ...facts })
      .where(and(eq(deployments.id, id), eq(deployments.status, status)))
      .run();
  }

  /** Nothing of a failed deployment is left in the engine. */
  clearRemains(id: string): void {
    this.database.orm.update(deployments).set({ hasRemains: false }).where(eq(deployments.id, id)).run();
  }

  /** The end of a deployment that is `deleting`; false when it was not. */
  remove(id: string): boolean {
    return (
      this.database.orm
        .delete(deployments)
        .where(and(eq(deployments.id, id), eq(deployments.status, 'deleting')))
        .run().changes === 1
    );
  }

  /** Every row that the reconciler has something to do about after a start. */
  listUnfinished(): DeploymentRow[] {
    const neverRan = and(eq(deployments.hasRemains, true), isNull(deployments.imageId));
    return this.database.orm
      .select()
      .from(deployments)
      .where(
        or(
          inArray(deployments.status, ['pending', 'starting', 'running', 'pausing', 'deleting']),
          and(eq(deployments.status, 'failed'), or(isNotNull(deployments.containerId), neverRan)),
        ),
      )
      .orderBy(asc(deployments.createdAt))
      .all();
  }

  listIdsByStatus(status: Status): string[] {
    const rows = this.database.orm
      .select({ id: deployments.id })
      .from(deployments)
      .where(eq(deployments.status, status))
      .all();
    return rows.map((row) => row.id);
  }

  /** How many deployments have a subnet that the configured pool does not contain. */
  countOutsidePool(): number {
    return this.database.orm
      .select({ id: deployments.id })
      .from(deployments)
      .where(notBetween(deployments.subnetAddress, this.pool.first, this.pool.last))
      .all().length;
  }

  private lowestFree(
    tx: Pick<Database['orm'], 'get'>,
    column: typeof deployments.uid | typeof deployments.subnetAddress,
    first: number,
    last: number,
    step: number,
  ): number | undefined {
    // Free is the first number, or one behind a taken one.
    const found = tx.get<{ free: number | null }>(sql`
      select min(candidate) as free from (
        select ${first} as candidate
        union all select ${column} + ${step} from ${deployments} where ${column} between ${first} and ${last} - ${step}
      ) where candidate not in (select ${column} from ${deployments})`);
    return found.free ?? undefined;
  }
}

function columnsOf(reason: StatusReason, now: number) {
  return { reasonCode: reason.code, reasonMessage: reason.message, reasonAt: now };
}

import { Injectable } from '@nestjs/common';
import { Config } from '../config/config.js';
import { AppError } from '../errors/app-error.js';
import { newAccessToken } from './access-token.js';
import { Capacity } from './capacity.js';
import { CrashLoops } from './crash-loops.js';
import { newDeploymentId } from './deployment.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import type { DeploymentRow } from './deployment.table.js';
import { NO_SANDBOX } from './deployment-starter.js';
import { DeploymentWaits } from './deployment-waits.js';
import {
  type DeploymentFilter,
  type DeploymentPatch,
  DeploymentsRepository,
  type NewDeployment,
  type PagePosition,
} from './deployments.repository.js';
import { Reconciler } from './reconciler.js';

const LONGEST_DELETE_MS = 120_000;

export interface DeploymentRequest extends Omit<NewDeployment, 'id' | 'accessTokenHash'> {
  /** False: it is paused until somebody starts or uses it. */
  autoStart: boolean;
}

export interface DeploymentPage {
  rows: DeploymentRow[];
  /** Where the next page begins; undefined on the last one. */
  next: PagePosition | undefined;
}

/** What a tenant does with its deployments. Other tenants' deployments do not exist. */
@Injectable()
export class DeploymentsService {
  constructor(
    private readonly repository: DeploymentsRepository,
    private readonly lifecycle: DeploymentLifecycle,
    private readonly reconciler: Reconciler,
    private readonly waits: DeploymentWaits,
    private readonly crashes: CrashLoops,
    private readonly capacity: Capacity,
    private readonly config: Config,
  ) {}

  /** The row and the access token, which is not kept and cannot be had again. */
  create(
    tenantId: string,
    request: DeploymentRequest,
    now: number,
  ): { row: DeploymentRow; accessToken: string } {
    const { autoStart, ...wanted } = request;
    this.requireFits(wanted.maxMemoryMb);
    const { token, hash } = newAccessToken();
    const message = autoStart ? 'Waiting to be started.' : 'It starts with the first request.';
    const values = { ...wanted, id: newDeploymentId(), accessTokenHash: hash };
    const status = autoStart ? 'pending' : 'paused';
    const row = this.repository.create(tenantId, values, status, { code: 'created', message }, now);
    this.reconciler.request(row.id);
    return { row, accessToken: token };
  }

  /** The row once it runs or failed, or as it is after `timeoutMs`. */
  async settle(tenantId: string, id: string, timeoutMs: number): Promise<DeploymentRow> {
    if (timeoutMs === 0) return this.get(tenantId, id);
    try {
      return await this.waits.untilSettled(id, timeoutMs);
    } catch (error) {
      // Being late or shut down is no failure of the deployment, which goes on: the caller must learn of it.
      const code = error instanceof AppError ? error.code : undefined;
      if (code === 'deployment_not_ready' || code === 'shutting_down') return this.get(tenantId, id);
      throw error;
    }
  }

  get(tenantId: string, id: string): DeploymentRow {
    const row = this.repository.findForTenant(tenantId, id);
    if (row === undefined) throw new AppError('deployment_not_found');
    return row;
  }

  /** Newest first. */
  list(
    tenantId: string,
    filter: DeploymentFilter,
    after: PagePosition | undefined,
    limit: number,
  ): DeploymentPage {
    const rows = this.repository.list(tenantId, filter, after, limit + 1);
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const next = rows.length > limit && last ? { createdAt: last.createdAt, id: last.id } : undefined;
    return { rows: page, next };
  }

  /** Change what can be changed while it lives; limits reach a running sandbox at once. */
  update(tenantId: string, id: string, patch: DeploymentPatch): DeploymentRow {
    const { status } = this.get(tenantId, id);
    if (status === 'deleting') throw new AppError('deployment_deleting');
    if (patch.maxMemoryMb !== undefined) {
      this.requireFits(patch.maxMemoryMb);
      this.capacity.grow(id, patch.maxMemoryMb);
    }
    const row = this.repository.patch(id, patch);
    if (!row) throw new AppError('deployment_not_found');
    this.reconciler.request(id);
    return row;
  }

  /** Legal in every status but `deleting`; nothing happens when it runs or is starting. A pause under way is finished first. */
  start(tenantId: string, id: string): void {
    this.requireLiving(tenantId, id);
    this.crashes.forget(id);
    const reason = { code: 'requested', message: 'It was told to start.' } as const;
    const change = { facts: NO_SANDBOX, from: ['paused', 'pausing', 'failed'] } as const;
    this.lifecycle.move(id, 'starting', reason, Date.now(), change);
  }

  /** Nothing happens when it is paused. Throws `state_conflict` when it has failed. */
  pause(tenantId: string, id: string): void {
    const { status } = this.requireLiving(tenantId, id);
    if (status === 'failed') {
      throw new AppError('state_conflict', { detail: 'It has failed and does not run: start or delete it.' });
    }
    const reason = { code: 'requested', message: 'It was told to pause.' } as const;
    this.lifecycle.move(id, 'pausing', reason, Date.now());
  }

  /** A new sandbox for one that runs; as `start` otherwise. */
  restart(tenantId: string, id: string): void {
    const { status } = this.requireLiving(tenantId, id);
    if (status !== 'running') return this.start(tenantId, id);
    this.crashes.forget(id);
    const reason = { code: 'requested', message: 'It was told to restart.' } as const;
    const change = { facts: NO_SANDBOX, from: ['running'] } as const;
    this.lifecycle.move(id, 'starting', reason, Date.now(), change);
  }

  /** A client needs it: start it if it is paused. Many at once start it once. */
  wake(id: string): void {
    const reason = { code: 'waking', message: 'A request woke it.' } as const;
    const change = { facts: NO_SANDBOX, from: ['paused', 'pausing'] } as const;
    this.lifecycle.move(id, 'starting', reason, Date.now(), change);
  }

  /** Resolves when everything is gone. Legal in every status; a second call waits for the same end. */
  async delete(tenantId: string, id: string): Promise<void> {
    const row = this.get(tenantId, id);
    if (row.status !== 'deleting') {
      const reason = { code: 'requested', message: 'It is being deleted.' } as const;
      this.lifecycle.move(row.id, 'deleting', reason, Date.now());
    }
    // Once more, should an earlier try be at rest.
    this.reconciler.request(row.id);
    await this.waits.untilGone(row.id, LONGEST_DELETE_MS);
  }

  private requireLiving(tenantId: string, id: string): DeploymentRow {
    const row = this.get(tenantId, id);
    if (row.status === 'deleting') throw new AppError('deployment_deleting');
    return row;
  }

  /** What can never have room would wait for ever. */
  private requireFits(memoryMb: number): void {
    const { maxRunningMemoryMb = Infinity } = this.config;
    if (memoryMb <= maxRunningMemoryMb) return;
    const message = `must be at most ${maxRunningMemoryMb}, the memory of all deployments here (MAX_RUNNING_MEMORY)`;
    throw new AppError('validation_failed', { fields: [{ field: 'maxMemory', message }] });
  }
}

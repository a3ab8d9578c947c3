import { Injectable } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import { newAccessToken } from './access-token.js';
import { newDeploymentId } from './deployment.js';
import { DeploymentLifecycle } from './deployment-lifecycle.js';
import type { DeploymentRow } from './deployment.table.js';
import { DeploymentWaits } from './deployment-waits.js';
import {
  type DeploymentFilter,
  DeploymentsRepository,
  type NewDeployment,
  type PagePosition,
} from './deployments.repository.js';
import { Reconciler } from './reconciler.js';

const LONGEST_DELETE_MS = 120_000;

export type DeploymentRequest = Omit<NewDeployment, 'id' | 'accessTokenHash'>;

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
  ) {}

  /** The row and the access token, which is not kept and cannot be had again. */
  create(
    tenantId: string,
    request: DeploymentRequest,
    now: number,
  ): { row: DeploymentRow; accessToken: string } {
    const { token, hash } = newAccessToken();
    const reason = { code: 'created', message: 'Waiting to be started.' } as const;
    const values = { ...request, id: newDeploymentId(), accessTokenHash: hash };
    const row = this.repository.create(tenantId, values, reason, now);
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

  /** Resolves when everything is gone. Legal in every status; a second call waits for the same end. */
  async delete(tenantId: string, id: string): Promise<void> {
    const row = this.get(tenantId, id);
    if (row.status !== 'deleting') {
      const reason = { code: 'requested', message: 'It is being deleted.' } as const;
      this.lifecycle.move(row.id, 'deleting', reason, Date.now());
    }
    this.reconciler.request(row.id);
    await this.waits.untilGone(row.id, LONGEST_DELETE_MS);
  }
}

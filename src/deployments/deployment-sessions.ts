import { Injectable } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import type { SessionListDto } from './deployment-sessions.dto.js';
import { DeploymentsService } from './deployments.service.js';
import { SessionCensus } from './session-census.js';

/** The live sessions of a tenant's deployments. */
@Injectable()
export class DeploymentSessions {
  constructor(
    private readonly deployments: DeploymentsService,
    private readonly census: SessionCensus,
  ) {}

  /** Throws `deployment_not_found`. */
  list(tenantId: string, id: string): SessionListDto {
    this.deployments.get(tenantId, id);
    const items = this.census.list(id).map(({ handle, lastUsedAt, ...session }) => ({
      id: handle,
      ...session,
      lastUsedAt: new Date(lastUsedAt).toISOString(),
    }));
    return { items };
  }

  /** Resolves when nothing of it is left. Throws `deployment_not_found` and `session_not_found`. */
  async end(tenantId: string, id: string, handle: string): Promise<void> {
    this.deployments.get(tenantId, id);
    if (!(await this.census.end(id, handle))) throw new AppError('session_not_found');
  }
}

import { Controller, Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../errors/api-problems.js';
import { ApiAuth, CurrentPrincipal } from '../tenancy/api-auth.js';
import type { Principal } from '../tenancy/principal.js';
import { DeploymentStats } from './deployment-stats.js';
import { StatsDto } from './deployment-stats.dto.js';

@ApiAuth()
@ApiTags('deployment')
@Controller('api/deployment')
export class DeploymentStatsController {
  constructor(private readonly stats: DeploymentStats) {}

  /** What a deployment uses just now, and what it is used for. Answers in every status. */
  @Get(':id/stats')
  @ApiParam({ name: 'id', example: 'dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b' })
  @ApiOkResponse({ type: StatsDto, description: 'Its numbers; what could not be had is in `missing`.' })
  @ApiProblems('bad_request', 'deployment_not_found')
  getDeploymentStats(@CurrentPrincipal() who: Principal, @Param('id') id: string): Promise<StatsDto> {
    return this.stats.of(who.tenantId, id);
  }
}

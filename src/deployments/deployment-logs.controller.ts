import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import { ApiParam, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { ApiProblems } from '../errors/api-problems.js';
import { ApiAuth, CurrentPrincipal } from '../tenancy/api-auth.js';
import type { Principal } from '../tenancy/principal.js';
import { ApiLog } from './api-log.js';
import { DeploymentLogs } from './deployment-logs.js';
import { ReadLogsDto } from './read-logs.dto.js';

@ApiAuth()
@ApiTags('deployment')
@Controller('api/deployment')
export class DeploymentLogsController {
  constructor(private readonly logs: DeploymentLogs) {}

  /** What a deployment's server processes wrote to stderr, and when they started and ended. In every status. */
  @Get(':id/logs')
  @ApiParam({ name: 'id', example: 'dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b' })
  @ApiLog()
  @ApiProblems('bad_request', 'validation_failed', 'deployment_not_found')
  @ApiProblems('event_streams_limit', 'shutting_down')
  readDeploymentLogs(
    @CurrentPrincipal() who: Principal,
    @Param('id') id: string,
    @Query() query: ReadLogsDto,
    @Req() req: Request,
    @Res() res: Response,
  ): Promise<void> {
    return this.logs.serve(who.tenantId, id, query, { req, res });
  }
}

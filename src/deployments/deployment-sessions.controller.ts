import { Controller, Delete, Get, HttpCode, Param } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../errors/api-problems.js';
import { ApiAuth, CurrentPrincipal } from '../tenancy/api-auth.js';
import type { Principal } from '../tenancy/principal.js';
import { DeploymentSessions } from './deployment-sessions.js';
import { SessionListDto } from './deployment-sessions.dto.js';

const ID = { name: 'id', example: 'dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b' };

@ApiAuth()
@ApiTags('deployment')
@Controller('api/deployment')
export class DeploymentSessionsController {
  constructor(private readonly sessions: DeploymentSessions) {}

  /** List the live sessions of a deployment. */
  @Get(':id/session')
  @ApiParam(ID)
  @ApiOkResponse({ type: SessionListDto, description: 'All of them.' })
  @ApiProblems('bad_request', 'deployment_not_found')
  listDeploymentSessions(@CurrentPrincipal() who: Principal, @Param('id') id: string): SessionListDto {
    return this.sessions.list(who.tenantId, id);
  }

  /** End a session: its server process, its calls and its connections. Its client has to begin anew. */
  @Delete(':id/session/:sid')
  @HttpCode(204)
  @ApiParam(ID)
  @ApiParam({ name: 'sid', example: 's_1f0c3a52b1f9' })
  @ApiNoContentResponse({ description: 'Nothing of it is left.' })
  @ApiProblems('bad_request', 'deployment_not_found', 'session_not_found')
  endDeploymentSession(
    @CurrentPrincipal() who: Principal,
    @Param('id') id: string,
    @Param('sid') sid: string,
  ): Promise<void> {
    return this.sessions.end(who.tenantId, id, sid);
  }
}

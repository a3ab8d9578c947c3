import {
  applyDecorators,
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  Patch,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { ApiProblems } from '../errors/api-problems.js';
import type { ErrorCode } from '../errors/error-codes.js';
import { ApiAuth, CurrentPrincipal } from '../tenancy/api-auth.js';
import type { Principal } from '../tenancy/principal.js';
import { CreateDeploymentDto, requestOf } from './create-deployment.dto.js';
import { CreatedDeploymentDto, DeploymentDto, DeploymentPageDto } from './deployment.dto.js';
import { DeploymentView } from './deployment.view.js';
import { DeploymentsService } from './deployments.service.js';
import { WaitQueryDto, ListDeploymentsDto } from './list-deployments.dto.js';
import { patchOf, UpdateDeploymentDto } from './update-deployment.dto.js';
import { cursorOf, positionOf } from './page-cursor.js';

const ID = { name: 'id', example: 'dp_5f0c3a52b1f94e0d8a7c6e1b2d3f4a5b' };
const LOCATION = {
  Location: { description: 'Path of the deployment.', schema: { type: 'string' } },
} as const;

/** A route that starts or stops a deployment: idempotent, and may wait for it. */
function Power(verb: string, ...problems: ErrorCode[]): MethodDecorator {
  return applyDecorators(
    Post(`:id/${verb}`),
    HttpCode(200),
    ApiParam(ID),
    ApiOkResponse({ type: DeploymentDto, description: 'The deployment; its status says how far it is.' }),
    ApiProblems(
      'bad_request',
      'validation_failed',
      'deployment_not_found',
      'deployment_deleting',
      ...problems,
    ),
  );
}

@ApiAuth()
@ApiTags('deployment')
@Controller('api/deployment')
export class DeploymentsController {
  constructor(
    private readonly deployments: DeploymentsService,
    private readonly view: DeploymentView,
  ) {}

  /** Deploy an MCP server. Answers at once, while the deployment is pending, or waits for it. */
  @Post()
  @ApiCreatedResponse({
    type: CreatedDeploymentDto,
    headers: LOCATION,
    description: 'The deployment; its status says how far it is.',
  })
  @ApiProblems('malformed_json', 'body_too_large', 'unsupported_media_type')
  @ApiProblems('validation_failed', 'uid_pool_exhausted', 'address_pool_exhausted')
  async createDeployment(
    @CurrentPrincipal() who: Principal,
    @Query() query: WaitQueryDto,
    @Body() body: CreateDeploymentDto,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<CreatedDeploymentDto> {
    const { row, accessToken } = this.deployments.create(who.tenantId, requestOf(body), Date.now());
    res.location(`/api/deployment/${row.id}`);
    const settled = await this.deployments.settle(who.tenantId, row.id, query.wait * 1000);
    return this.view.created(settled, accessToken, req);
  }

  /** List deployments, newest first. */
  @Get()
  @ApiOkResponse({ type: DeploymentPageDto, description: 'One page.' })
  @ApiProblems('validation_failed')
  listDeployments(
    @CurrentPrincipal() who: Principal,
    @Query() query: ListDeploymentsDto,
    @Req() req: Request,
  ): DeploymentPageDto {
    const after = query.cursor === undefined ? undefined : positionOf(query.cursor);
    const { rows, next } = this.deployments.list(who.tenantId, query, after, query.limit);
    return { items: rows.map((row) => this.view.of(row, req)), nextCursor: next ? cursorOf(next) : null };
  }

  /** Get one deployment. */
  @Get(':id')
  @ApiParam(ID)
  @ApiOkResponse({ type: DeploymentDto, description: 'The deployment as it is now.' })
  @ApiProblems('bad_request', 'deployment_not_found')
  getDeployment(
    @CurrentPrincipal() who: Principal,
    @Param('id') id: string,
    @Req() req: Request,
  ): DeploymentDto {
    return this.view.of(this.deployments.get(who.tenantId, id), req);
  }

  /** Change a deployment. What is left out stays as it is. */
  @Patch(':id')
  @ApiParam(ID)
  @ApiOkResponse({ type: DeploymentDto, description: 'The deployment as it is now.' })
  @ApiProblems('malformed_json', 'body_too_large', 'unsupported_media_type', 'validation_failed')
  @ApiProblems('bad_request', 'deployment_not_found', 'deployment_deleting', 'capacity_exhausted')
  updateDeployment(
    @CurrentPrincipal() who: Principal,
    @Param('id') id: string,
    @Body() body: UpdateDeploymentDto,
    @Req() req: Request,
  ): DeploymentDto {
    return this.view.of(this.deployments.update(who.tenantId, id, patchOf(body)), req);
  }

  /** Start a deployment that is paused or has failed. */
  @Power('start')
  async startDeployment(
    @CurrentPrincipal() who: Principal,
    @Param('id') id: string,
    @Query() query: WaitQueryDto,
    @Req() req: Request,
  ): Promise<DeploymentDto> {
    this.deployments.start(who.tenantId, id);
    return this.view.of(await this.deployments.settle(who.tenantId, id, query.wait * 1000), req);
  }

  /** Pause a deployment: its memory is freed, its home and its sessions stay, and its next request wakes it. */
  @Power('pause', 'state_conflict')
  async pauseDeployment(
    @CurrentPrincipal() who: Principal,
    @Param('id') id: string,
    @Query() query: WaitQueryDto,
    @Req() req: Request,
  ): Promise<DeploymentDto> {
    this.deployments.pause(who.tenantId, id);
    return this.view.of(await this.deployments.settle(who.tenantId, id, query.wait * 1000), req);
  }

  /** Give a deployment a new sandbox. Its home and its sessions stay. */
  @Power('restart')
  async restartDeployment(
    @CurrentPrincipal() who: Principal,
    @Param('id') id: string,
    @Query() query: WaitQueryDto,
    @Req() req: Request,
  ): Promise<DeploymentDto> {
    this.deployments.restart(who.tenantId, id);
    return this.view.of(await this.deployments.settle(who.tenantId, id, query.wait * 1000), req);
  }

  /** Delete a deployment and everything that belongs to it. Answers when nothing of it is left. */
  @Delete(':id')
  @HttpCode(204)
  @ApiParam(ID)
  @ApiNoContentResponse({ description: 'Everything is gone.' })
  @ApiProblems('bad_request', 'deployment_not_found', 'deployment_deleting', 'shutting_down')
  deleteDeployment(@CurrentPrincipal() who: Principal, @Param('id') id: string): Promise<void> {
    return this.deployments.delete(who.tenantId, id);
  }
}

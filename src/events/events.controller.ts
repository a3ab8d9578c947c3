import { Controller, Get, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { ApiProblems } from '../errors/api-problems.js';
import { ApiAuth, CurrentPrincipal } from '../tenancy/api-auth.js';
import type { Principal } from '../tenancy/principal.js';
import { ApiEventStream } from './api-event-stream.js';
import { EventStreams } from './event-streams.js';
import { FollowEventsDto } from './follow-events.dto.js';

@ApiAuth()
@ApiTags('event')
@Controller('api/event')
export class EventsController {
  constructor(private readonly streams: EventStreams) {}

  /** Follow what happens to deployments, as server-sent events. */
  @Get()
  @ApiEventStream()
  @ApiProblems('bad_request', 'validation_failed', 'event_streams_limit', 'shutting_down')
  followEvents(
    @CurrentPrincipal() who: Principal,
    @Query() query: FollowEventsDto,
    @Req() req: Request,
    @Res() res: Response,
  ): void {
    this.streams.serve(who.tenantId, req, res, query.deployment);
  }
}

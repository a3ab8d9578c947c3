import { Controller, Get, Res } from '@nestjs/common';
import { ApiOkResponse, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { HealthDto } from './health.dto.js';
import { Health } from './health.js';

@ApiTags('health')
@Controller('health')
export class HealthController {
  constructor(private readonly health: Health) {}

  /** Is everything there that deployments need? Needs no key. */
  @Get()
  @ApiOkResponse({ type: HealthDto, description: 'Everything is.' })
  @ApiServiceUnavailableResponse({ type: HealthDto, description: 'Something is not; its check says what.' })
  async getHealth(@Res({ passthrough: true }) res: Response): Promise<HealthDto> {
    const health = await this.health.check(Date.now());
    res.status(health.status === 'ok' ? 200 : 503);
    return health;
  }
}

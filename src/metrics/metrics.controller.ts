import { Controller, Get, Res, UseGuards } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { Response } from 'express';
import { MetricsGuard } from './metrics.guard.js';
import { MetricsRegistry } from './metrics-registry.js';

/** For Prometheus, in its text format. */
@ApiExcludeController()
@Controller('metrics')
@UseGuards(MetricsGuard)
export class MetricsController {
  constructor(private readonly metrics: MetricsRegistry) {}

  @Get()
  async getMetrics(@Res({ passthrough: true }) res: Response): Promise<string> {
    res.setHeader('Cache-Control', 'no-store').setHeader('Content-Type', this.metrics.contentType);
    return this.metrics.text();
  }
}

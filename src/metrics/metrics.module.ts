import { Module } from '@nestjs/common';
import { DeploymentsModule } from '../deployments/deployments.module.js';
import { GatewayModule } from '../gateway/gateway.module.js';
import { TenancyModule } from '../tenancy/tenancy.module.js';
import { CallMetrics } from './call-metrics.js';
import { DeploymentMetrics } from './deployment-metrics.js';
import { EngineMetrics } from './engine-metrics.js';
import { HttpMetrics } from './http-metrics.js';
import { MetricsController } from './metrics.controller.js';
import { MetricsGuard } from './metrics.guard.js';
import { MetricsRegistry } from './metrics-registry.js';
import { ServiceMetrics } from './service-metrics.js';

/** Above all features: each of them tells what happens, none of them knows who counts. */
@Module({
  imports: [DeploymentsModule, GatewayModule, TenancyModule],
  controllers: [MetricsController],
  providers: [
    MetricsRegistry,
    MetricsGuard,
    CallMetrics,
    DeploymentMetrics,
    EngineMetrics,
    HttpMetrics,
    ServiceMetrics,
  ],
  exports: [HttpMetrics],
})
export class MetricsModule {}

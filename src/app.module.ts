import { Global, Module } from '@nestjs/common';
import { ConfigModule } from './config/config.module.js';
import { ContainersModule } from './containers/containers.module.js';
import { DatabaseModule } from './database/database.module.js';
import { DeploymentsModule } from './deployments/deployments.module.js';
import { EventsModule } from './events/events.module.js';
import { GatewayModule } from './gateway/gateway.module.js';
import { HealthModule } from './health/health.module.js';
import { LogsModule } from './logs/logs.module.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { ReaperModule } from './reaper/reaper.module.js';
import { TenancyModule } from './tenancy/tenancy.module.js';
import { TracingModule } from './tracing/tracing.module.js';

/** The one SandboxRuntime, for everybody who knows the port. */
@Global()
@Module({ imports: [ContainersModule], exports: [ContainersModule] })
class SandboxesModule {}

@Module({
  imports: [
    ConfigModule,
    DatabaseModule,
    TenancyModule,
    SandboxesModule,
    EventsModule,
    LogsModule,
    DeploymentsModule,
    ReaperModule,
    HealthModule,
    GatewayModule,
    MetricsModule,
    TracingModule,
  ],
})
export class AppModule {}

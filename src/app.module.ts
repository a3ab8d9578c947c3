import { Global, Module } from '@nestjs/common';
import { ConfigModule } from './config/config.module.js';
import { ContainersModule } from './containers/containers.module.js';
import { DatabaseModule } from './database/database.module.js';
import { DeploymentsModule } from './deployments/deployments.module.js';
import { GatewayModule } from './gateway/gateway.module.js';
import { HealthModule } from './health/health.module.js';
import { ReaperModule } from './reaper/reaper.module.js';
import { TenancyModule } from './tenancy/tenancy.module.js';

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
    DeploymentsModule,
    ReaperModule,
    HealthModule,
    GatewayModule,
  ],
})
export class AppModule {}

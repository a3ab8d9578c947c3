import { Module } from '@nestjs/common';
import { DeploymentsModule } from '../deployments/deployments.module.js';
import { TenancyModule } from '../tenancy/tenancy.module.js';
import { Gateway } from './gateway.js';
import { GatewayAuth } from './gateway-auth.js';
import { OriginGuard } from './origin-guard.js';
import { ServerProcessesModule } from './server-processes.module.js';
import { SharedServers } from './shared-servers.js';
import { Upstreams } from './upstreams.js';

@Module({
  imports: [DeploymentsModule, TenancyModule, ServerProcessesModule],
  providers: [Gateway, GatewayAuth, OriginGuard, SharedServers, Upstreams],
  exports: [Gateway],
})
export class GatewayModule {}

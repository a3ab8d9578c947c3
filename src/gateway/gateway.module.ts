import { Module } from '@nestjs/common';
import { DeploymentsModule } from '../deployments/deployments.module.js';
import { TenancyModule } from '../tenancy/tenancy.module.js';
import { Calls } from '../mcp/edges/calls/calls.js';
import { Gateway } from './gateway.js';
import { GatewayAuth } from './gateway-auth.js';
import { GatewayFaults } from './gateway-faults.js';
import { OriginGuard } from './origin-guard.js';
import { Readiness } from './readiness.js';
import { Rejoins } from './rejoins.js';
import { ServerProcessesModule } from './server-processes.module.js';
import { SessionsRepository } from './sessions.repository.js';
import { SharedServers } from './shared-servers.js';
import { StoredSessions } from './stored-sessions.js';
import { Upstreams } from './upstreams.js';

@Module({
  imports: [DeploymentsModule, TenancyModule, ServerProcessesModule],
  providers: [
    Gateway,
    GatewayAuth,
    GatewayFaults,
    OriginGuard,
    Readiness,
    Rejoins,
    SessionsRepository,
    SharedServers,
    StoredSessions,
    Upstreams,
    { provide: Calls, useFactory: () => new Calls() },
  ],
  exports: [Calls, Gateway, GatewayFaults],
})
export class GatewayModule {}

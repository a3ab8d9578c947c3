import { Global, Module } from '@nestjs/common';
import { ContainersModule } from '../containers/containers.module.js';
import { DeploymentStateModule } from '../deployments/deployment-state.module.js';
import { ServerProbe } from '../deployments/server-probe.js';
import { Eras } from './eras.js';
import { HandshakeProbe } from './handshake-probe.js';
import { HttpServers } from './http-servers.js';
import { ProcessPool } from './process-pool.js';

/** Apart from the gateway and global, because the reconciler needs the probe and the gateway needs the deployments. */
@Global()
@Module({
  imports: [ContainersModule, DeploymentStateModule],
  providers: [HttpServers, ProcessPool, Eras, { provide: ServerProbe, useClass: HandshakeProbe }],
  exports: [HttpServers, ProcessPool, Eras, ServerProbe],
})
export class ServerProcessesModule {}

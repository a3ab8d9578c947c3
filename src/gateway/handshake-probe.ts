import { Injectable } from '@nestjs/common';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { ServerProbe } from '../deployments/server-probe.js';
import { shakeHands } from '../mcp/sessions/handshake.js';
import { CLIENT_INFO } from './client-info.js';
import { ProcessPool } from './process-pool.js';

/** Proves with a process of its own that a deployment's server speaks MCP; the spares boot beside it. */
@Injectable()
export class HandshakeProbe extends ServerProbe {
  constructor(private readonly processes: ProcessPool) {
    super();
  }

  async probe(row: DeploymentRow, signal: AbortSignal): Promise<void> {
    const channel = await this.processes.spawn(row, signal);
    this.processes.fill(row);
    try {
      await shakeHands(channel, CLIENT_INFO, signal);
    } finally {
      // It ends by itself within its deadlines; the first client need not wait for that.
      void channel.close();
    }
  }
}

import { Injectable } from '@nestjs/common';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { ServerProbe } from '../deployments/server-probe.js';
import { AppError } from '../errors/app-error.js';
import { shakeHands } from '../mcp/sessions/handshake.js';
import { CLIENT_INFO } from './client-info.js';
import { Eras } from './eras.js';
import { ProcessPool } from './process-pool.js';

/** Proves with a process of its own that a deployment's server speaks MCP, of either era; the spares boot beside it. */
@Injectable()
export class HandshakeProbe extends ServerProbe {
  constructor(
    private readonly processes: ProcessPool,
    private readonly eras: Eras,
  ) {
    super();
  }

  async probe(row: DeploymentRow, signal: AbortSignal): Promise<void> {
    const channel = await this.processes.spawn(row, signal);
    this.processes.fill(row);
    try {
      await shakeHands(channel, CLIENT_INFO, signal);
      this.eras.learn('handshake', row, true, Date.now());
    } catch (error) {
      // A server without a handshake refuses it, and is a good one all the same.
      const refused = error instanceof AppError && error.code === 'server_invalid';
      if (!refused || !(await this.eras.speaks('modern', row, Date.now()))) throw error;
      this.eras.learn('handshake', row, false, Date.now());
    } finally {
      // It ends by itself within its deadlines; the first client need not wait for that.
      void channel.close();
    }
  }
}

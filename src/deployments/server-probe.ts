import type { DeploymentRow } from './deployment.table.js';

/** Proof that a deployment's server speaks MCP. Implemented by the gateway, which owns the protocol. */
export abstract class ServerProbe {
  /**
   * Start a server process in the running sandbox, shake hands with it, end it. Throws `AppError` with `server_exited`,
   * `server_invalid` or `start_timeout` whose detail ends in the server's last stderr lines.
   */
  abstract probe(deployment: DeploymentRow, signal: AbortSignal): Promise<void>;
}

import type { ChannelClosed } from '../channels/channel.js';
import { RPC, type RpcError } from '../jsonrpc/json-rpc.js';

/** What a client is told whose request was in flight when its server went away. */
export function closedError(why: ChannelClosed): RpcError {
  const code =
    why.cause === 'ended' ? 'session_ended' : why.cause === 'exited' ? 'server_exited' : 'server_invalid';
  return { code: RPC.serverError, message: why.message, data: { code } };
}

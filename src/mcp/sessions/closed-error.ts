import type { ChannelClosed } from '../channels/channel.js';
import { RPC, type RpcError } from '../jsonrpc/json-rpc.js';

const CODES = {
  ended: 'session_ended',
  stopped: 'server_stopped',
  exited: 'server_exited',
  violated: 'server_invalid',
} as const satisfies Record<ChannelClosed['cause'], string>;

/** What a client is told whose request was in flight when its server went away. */
export function closedError(why: ChannelClosed): RpcError {
  return { code: RPC.serverError, message: why.message, data: { code: CODES[why.cause] } };
}

/** What a client is told whose call has taken too long. */
export const OVERDUE: RpcError = {
  code: RPC.serverError,
  message:
    'The server has neither answered nor reported progress for longer than a call may take (MAX_CALL_SECONDS)',
  data: { code: 'call_timeout' },
};

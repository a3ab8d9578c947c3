import { AppError } from '../../errors/app-error.js';
import type { Channel } from '../channels/channel.js';
import { type Envelope, rawMembers, type Response, stringIn } from '../jsonrpc/envelope.js';
import { errorText, notificationText, requestText, RPC } from '../jsonrpc/json-rpc.js';

const REVISION = '2025-11-25';
const INITIALIZE_ID = 1;

export interface ClientInfo {
  name: string;
  version: string;
}

/**
 * Shake hands with a server for ourselves, to know that it speaks MCP. Throws `server_exited`, `server_invalid`, or
 * `start_timeout` when the signal comes first. The channel stays open.
 */
export async function shakeHands(
  channel: Channel,
  clientInfo: ClientInfo,
  signal: AbortSignal,
): Promise<void> {
  const answered = new AbortController();
  const answering = new Promise<Response>((resolve, reject) => {
    const timeout = (): void => {
      const words = channel.lastWords;
      reject(
        new AppError('start_timeout', {
          detail: `It did not answer initialize in time.${words === '' ? ' It wrote nothing to stderr.' : ` It said:\n${words}`}`,
        }),
      );
    };
    if (signal.aborted) timeout();
    signal.addEventListener('abort', timeout, { once: true, signal: answered.signal });
    channel.open({
      message: (message) => {
        if (message.kind === 'request') return decline(channel, message);
        if (message.kind === 'response' && message.rawId === String(INITIALIZE_ID)) resolve(message);
        return undefined;
      },
      closed: (why) =>
        reject(
          new AppError(why.cause === 'exited' ? 'server_exited' : 'server_invalid', { detail: why.message }),
        ),
    });
    if (!channel.whyClosed) {
      void channel.send(
        requestText(INITIALIZE_ID, 'initialize', { protocolVersion: REVISION, capabilities: {}, clientInfo }),
      );
    }
  });
  const answer = await answering.finally(() => answered.abort());
  if (answer.error) {
    const { message } = rawMembers(answer, answer.error, ['message']);
    throw new AppError('server_invalid', {
      detail: `It refused initialize: ${stringIn(message) ?? 'it did not say why'}`,
    });
  }
  const { protocolVersion } = rawMembers(answer, answer.result, ['protocolVersion']);
  if (stringIn(protocolVersion) === undefined) {
    throw new AppError('server_invalid', { detail: 'Its answer to initialize names no protocol version' });
  }
  if (!channel.whyClosed) void channel.send(notificationText('notifications/initialized'));
}

/** Before the handshake is over a server may ping and nothing else. */
function decline(
  channel: Channel,
  request: Extract<Envelope, { kind: 'request' }>,
): Promise<void> | undefined {
  if (request.method === 'ping') return channel.send(`{"jsonrpc":"2.0","id":${request.rawId},"result":{}}`);
  return channel.send(
    errorText(request.rawId, { code: RPC.methodNotFound, message: 'Not supported by this client' }),
  );
}

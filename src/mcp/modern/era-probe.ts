import type { Channel } from '../channels/channel.js';
import { rawMembers } from '../jsonrpc/envelope.js';
import { scanArray } from '../jsonrpc/json-scanner.js';
import { requestText } from '../jsonrpc/json-rpc.js';
import type { ClientInfo } from '../sessions/handshake.js';
import { META, MODERN_REVISIONS } from './modern-request.js';

const DISCOVER_ID = 1;

/**
 * Whether a server speaks the modern era. Asks `server/discover` of a process that is thrown away afterwards, because the
 * first message pins many servers to one era. An answer of any other kind, an exit or silence mean that it does not.
 */
export async function speaksModern(
  channel: Channel,
  clientInfo: ClientInfo,
  signal: AbortSignal,
): Promise<boolean> {
  const params = {
    _meta: {
      [META.protocolVersion]: MODERN_REVISIONS[0],
      [META.clientCapabilities]: {},
      [META.clientInfo]: clientInfo,
    },
  };
  return new Promise<boolean>((resolve) => {
    const no = (): void => resolve(false);
    if (signal.aborted) no();
    signal.addEventListener('abort', no, { once: true });
    channel.open({
      message(message) {
        if (message.kind !== 'response' || message.rawId !== String(DISCOVER_ID)) return undefined;
        signal.removeEventListener('abort', no);
        const { supportedVersions } = rawMembers(message, message.result, ['supportedVersions']);
        resolve(namesOurs(supportedVersions));
        return undefined;
      },
      closed: () => {
        signal.removeEventListener('abort', no);
        no();
      },
    });
    if (!channel.whyClosed) void channel.send(requestText(DISCOVER_ID, 'server/discover', params));
  });
}

function namesOurs(raw: string | undefined): boolean {
  if (raw === undefined) return false;
  const versions = raw.startsWith('[') ? scanArray(raw, 0)?.elements : undefined;
  return (versions ?? []).some(({ start, end }) =>
    MODERN_REVISIONS.some((revision) => raw.slice(start, end) === JSON.stringify(revision)),
  );
}

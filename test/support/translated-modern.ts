import { ModernServerAsHandshake } from '../../src/mcp/translation/modern-server-as-handshake.js';
import { ChannelUser } from './channel-user.js';
import { type ChannelScript, ScriptedChannel } from './scripted-channel.js';

/** Everything that a server can offer. */
export const OFFERS = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
  completions: {},
};

/** A script that answers `server/discover` with these members of its result, and everything else by another script. */
export function modernServer(result: object, script: ChannelScript = () => undefined): ChannelScript {
  return (message, channel) => {
    if (message.method !== 'server/discover') script(message, channel);
    else {
      channel.say({
        jsonrpc: '2.0',
        id: message.id,
        result: {
          resultType: 'complete',
          supportedVersions: ['2026-07-28'],
          capabilities: {},
          ttlMs: 0,
          cacheScope: 'private',
          _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'scripted', version: '1' } },
          ...result,
        },
      });
    }
  };
}

/** A client of the handshake era, shaken hands, of a scripted modern server, and the server. */
export function handshakeClient(
  script: ChannelScript = () => undefined,
  {
    capabilities = { elicitation: {}, sampling: {}, roots: { listChanged: true } },
    result = { capabilities: OFFERS },
  }: { capabilities?: object; result?: object } = {},
) {
  const server = new ScriptedChannel(modernServer(result, script));
  const channel = new ModernServerAsHandshake(server, { handshakeMs: 30_000 });
  const client = new ChannelUser(channel);
  const initialize = client.request('initialize', initializeParams(capabilities), undefined);
  client.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  const request = (method: string, params: object = {}, token?: unknown): number =>
    client.request(method, params, undefined, token);
  /** What the client is told, but for the answer to `initialize`. */
  const told = () => client.messages.filter(({ id, method }) => id !== initialize || method !== undefined);
  return { server, channel, client, initialize, request, told };
}

export function initializeParams(capabilities: object = {}, protocolVersion = '2025-06-18'): object {
  return { protocolVersion, capabilities, clientInfo: { name: 'host', version: '3' } };
}

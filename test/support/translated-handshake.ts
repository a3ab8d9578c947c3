import { randomBytes } from 'node:crypto';
import {
  HandshakeServerAsModern,
  type ModernTranslation,
} from '../../src/mcp/translation/handshake-server-as-modern.js';
import { RequestSeal } from '../../src/mcp/translation/request-seal.js';
import { ChannelUser } from './channel-user.js';
import { type ChannelScript, handshakeServer, ScriptedChannel } from './scripted-channel.js';

/** Everything that a server can offer. */
export const ALL = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  logging: {},
  completions: {},
};

export function translationOptions(options: Partial<ModernTranslation> = {}): ModernTranslation {
  return {
    clientInfo: { name: 'runner', version: '1' },
    handshakeMs: 60_000,
    seal: new RequestSeal(randomBytes(32)),
    principal: 'ann',
    ...options,
  };
}

/** A modern client of a scripted handshake-era server, and the server. */
export function modernClient(
  script: ChannelScript = () => undefined,
  {
    result = { capabilities: ALL },
    options = {},
  }: { result?: object; options?: Partial<ModernTranslation> } = {},
) {
  const server = new ScriptedChannel(handshakeServer(result, script));
  const channel = new HandshakeServerAsModern(server, translationOptions(options));
  return { server, channel, client: new ChannelUser(channel) };
}

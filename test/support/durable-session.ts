import { parseMessage } from '../../src/mcp/jsonrpc/envelope.js';
import type { Channel } from '../../src/mcp/channels/channel.js';
import type { ConversationState } from '../../src/mcp/sessions/conversation-state.js';
import { Session } from '../../src/mcp/sessions/session.js';
import { Gate } from './gate.js';
import { RecordingOutlet } from './recording-outlet.js';
import { type ChannelScript, handshakeServer, ScriptedChannel } from './scripted-channel.js';
import { RecordingHolder } from './session-holder.js';

export const INITIALIZE = {
  protocolVersion: '2025-11-25',
  capabilities: { roots: { listChanged: true }, 'x/own': [1.0, null] },
  clientInfo: { name: 'spec', version: '1', title: 'ü🚀' },
  _meta: { unknown: true },
};

/** Answers `initialize`, and every other request with an empty result. */
export const willing: ChannelScript = handshakeServer({}, ({ id, method }, channel) => {
  if (id !== undefined && method !== undefined) channel.say({ jsonrpc: '2.0', id, result: {} });
});

interface Options {
  script?: ChannelScript;
  /** Instead of a new process at once. */
  reopen?: (open: () => ScriptedChannel, signal: AbortSignal) => Promise<Channel>;
  /** Instead of a first process. */
  known?: ConversationState;
}

/** A session over scripted processes, one after the other, and its client's verbs. */
export function durableSession({ script = willing, reopen, known }: Options = {}) {
  const channels: ScriptedChannel[] = [];
  const open = (): ScriptedChannel => {
    const channel = new ScriptedChannel(script);
    channels.push(channel);
    return channel;
  };
  const ambient = new RecordingOutlet();
  const holder = new RecordingHolder(ambient, (signal) =>
    reopen ? reopen(open, signal) : Promise.resolve(open()),
  );
  const session = new Session(known ?? open(), holder);
  const tell = (message: object, outlet = new RecordingOutlet()): RecordingOutlet => {
    void session.fromClient(parseMessage(JSON.stringify(message)), outlet);
    return outlet;
  };
  return {
    channels,
    ambient,
    holder,
    session,
    tell,
    /** The newest process. */
    get channel(): ScriptedChannel {
      return channels.at(-1) as ScriptedChannel;
    },
    /** As an edge does: with a process, whatever has become of the one before. */
    async ask(
      id: number | string,
      method?: string,
      params?: object,
      signal = new AbortController().signal,
    ): Promise<RecordingOutlet> {
      await session.ready(signal);
      return tell(request(id, method, params));
    },
    /** A request to the process that there is. */
    call: (id: number | string, method?: string, params?: object) => tell(request(id, method, params)),
    shakeHands(): void {
      tell(request('init', 'initialize', INITIALIZE));
      tell({ jsonrpc: '2.0', method: 'notifications/initialized' });
    },
  };
}

/** A session that lost its process, whose next one waits behind a gate. */
export function sleepingSession() {
  const gate = new Gate();
  const client = durableSession({
    reopen: async (open) => {
      await gate.wait();
      return open();
    },
  });
  client.shakeHands();
  client.channel.exit();
  return { client, gate };
}

function request(id: number | string, method = 'tools/call', params: object = {}): object {
  return { jsonrpc: '2.0', id, method, params };
}

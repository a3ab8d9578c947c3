import type { Channel, ChannelClosed } from '../../src/mcp/channels/channel.js';
import { StdioChannel } from '../../src/mcp/channels/stdio-channel.js';
import { SharedServer, type SharedServerOptions } from '../../src/mcp/shared/shared-server.js';
import type { Message } from './client-events.js';
import { type Script, ScriptedProcess } from './scripted-process.js';

const MAX_MESSAGE_BYTES = 16 << 20;
const ALL = { sampling: {}, elicitation: { form: {}, url: {} } };

export const INITIALIZE_RESULT = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: { listChanged: true }, logging: {}, resources: { subscribe: true } },
  serverInfo: { name: 'scripted', version: '1' },
  instructions: 'Be kind.',
};

/** Answers `initialize`, and the rest by the script. */
export function handshakeServer(
  script: Script = () => undefined,
  result: object = INITIALIZE_RESULT,
): Script {
  return (message, process) => {
    if (message.method === 'initialize') process.say({ jsonrpc: '2.0', id: message.id, result });
    else script(message, process);
  };
}

/** A shared server over a scripted process. `join` gives clients whose handshake is over. */
export function startShared(script: Script = handshakeServer(), options: Partial<SharedServerOptions> = {}) {
  const process = new ScriptedProcess(script);
  const closings: ChannelClosed[] = [];
  const server = new SharedServer(
    new StdioChannel(process, MAX_MESSAGE_BYTES),
    { clientInfo: { name: 'mux', version: '1' }, handshakeMs: 5000, idleMs: 60_000, ...options },
    (why) => closings.push(why),
  );
  const join = (capabilities: object = ALL): SharedClient => {
    const client = new SharedClient(server);
    client.initialize(capabilities);
    client.notify('notifications/initialized');
    client.heard.length = 0;
    return client;
  };
  return { process, server, closings, join };
}

/** A session's end of a virtual channel: it keeps what it hears. */
export class SharedClient {
  readonly channel: Channel;
  readonly heard: Message[] = [];
  readonly closings: ChannelClosed[] = [];
  /** When set, a delivery is taken by calling the function that it leaves here. */
  readonly takes: (() => void)[] = [];
  slow = false;

  constructor(server: SharedServer) {
    this.channel = server.open();
    this.channel.open({
      message: ({ text }) => {
        this.heard.push(JSON.parse(text) as Message);
        return this.slow ? new Promise((resolve) => this.takes.push(resolve)) : undefined;
      },
      closed: (why) => this.closings.push(why),
    });
  }

  initialize(capabilities: object = ALL, protocolVersion = '2025-11-25'): void {
    const clientInfo = { name: 'client', version: '1' };
    void this.call(0, 'initialize', { protocolVersion, capabilities, clientInfo });
  }

  call(id: number | string, method = 'tools/call', params: object = {}): Promise<void> | undefined {
    return this.say({ jsonrpc: '2.0', id, method, params });
  }

  answer(id: unknown, result: object = {}): void {
    void this.say({ jsonrpc: '2.0', id, result });
  }

  notify(method: string, params?: object): void {
    void this.say({ jsonrpc: '2.0', method, params });
  }

  say(message: object): Promise<void> | undefined {
    return this.channel.send(JSON.stringify(message));
  }

  /** What it has heard since the last time. */
  news(): Message[] {
    return this.heard.splice(0);
  }

  methods(): (string | undefined)[] {
    return this.heard.map(({ method }) => method);
  }
}

/** Lets everything happen that is due. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

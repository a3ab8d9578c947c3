import type { Channel, ChannelClosed } from '../../src/mcp/channels/channel.js';
import type { ReadMessage } from './scripted-process.js';

/** The user of a channel: keeps what comes and sends what it is asked to. */
export class ChannelUser {
  readonly texts: string[] = [];
  readonly closings: ChannelClosed[] = [];
  private readonly arrived: (() => void)[] = [];
  private nextId = 1;

  constructor(
    readonly channel: Channel,
    /** Called with each message, before it is kept. */
    private readonly onMessage: (message: ReadMessage) => void = () => undefined,
  ) {
    channel.open({
      message: (message) => {
        this.onMessage(JSON.parse(message.text) as ReadMessage);
        this.texts.push(message.text);
        for (const resolve of this.arrived.splice(0)) resolve();
        return undefined;
      },
      closed: (why) => {
        this.closings.push(why);
        for (const resolve of this.arrived.splice(0)) resolve();
      },
    });
  }

  get messages(): ReadMessage[] {
    return this.texts.map((text) => JSON.parse(text) as ReadMessage);
  }

  messagesOf(method: string): ReadMessage[] {
    return this.messages.filter((message) => message.method === method);
  }

  /** Send a request of the modern era, or of none where `envelope` is undefined; returns its id. */
  request(method: string, params: object = {}, envelope: object | undefined = {}, token?: unknown): number {
    const id = this.nextId++;
    const meta = {
      ...(envelope && {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientCapabilities': {},
        ...envelope,
      }),
      ...(token !== undefined && { progressToken: token }),
    };
    this.send({ jsonrpc: '2.0', id, method, params: { ...params, _meta: meta } });
    return id;
  }

  send(message: object | string): void {
    void this.channel.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The first message that matches, as soon as there is one. */
  async sees(matches: (message: ReadMessage) => boolean): Promise<ReadMessage> {
    for (;;) {
      const found = this.messages.find(matches);
      if (found) return found;
      if (this.closings[0]) throw new Error(`closed: ${this.closings[0].message}`);
      await new Promise<void>((resolve) => this.arrived.push(resolve));
    }
  }

  answerTo(id: number | string): Promise<ReadMessage> {
    return this.sees((message) => message.id === id && message.method === undefined);
  }
}

/** The envelope of a client with these capabilities. */
export function able(capabilities: object, more: object = {}): object {
  return { 'io.modelcontextprotocol/clientCapabilities': capabilities, ...more };
}

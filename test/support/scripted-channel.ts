import { Channel, type ChannelClosed, type ChannelHandlers } from '../../src/mcp/channels/channel.js';
import { parseMessage } from '../../src/mcp/jsonrpc/envelope.js';
import type { ReadMessage } from './scripted-process.js';

export type ChannelScript = (message: ReadMessage, channel: ScriptedChannel) => void;

/** A conversation in memory: what the server says is scripted, what it is told is kept. */
export class ScriptedChannel extends Channel {
  /** Every message it was told, as it came. */
  readonly texts: string[] = [];
  lastWords = '';
  /** How often `close` was called. */
  closes = 0;
  /** What the handlers answer that held back the server. */
  readonly holds: Promise<void>[] = [];
  private closed: ChannelClosed | undefined;
  private handlers: ChannelHandlers | undefined;
  private readonly early: string[] = [];
  private readonly heard: (() => void)[] = [];

  constructor(private readonly script: ChannelScript = () => undefined) {
    super();
  }

  get whyClosed(): ChannelClosed | undefined {
    return this.closed;
  }

  /** What it was told, parsed. */
  get told(): ReadMessage[] {
    return this.texts.map((text) => JSON.parse(text) as ReadMessage);
  }

  /** What it was told by this method, parsed. */
  toldOf(method: string): ReadMessage[] {
    return this.told.filter((message) => message.method === method);
  }

  /** The nth message it is told that matches, from 0, as soon as there is one. */
  async hears(matches: (message: ReadMessage) => boolean, n = 0): Promise<ReadMessage> {
    for (;;) {
      const found = this.told.filter(matches)[n];
      if (found) return found;
      await new Promise<void>((resolve) => this.heard.push(resolve));
    }
  }

  open(handlers: ChannelHandlers): void {
    this.handlers = handlers;
    if (this.closed) handlers.closed(this.closed);
    else this.say(...this.early.splice(0));
  }

  send(text: string): undefined {
    if (this.closed) throw new Error(this.closed.message);
    this.texts.push(text);
    for (const resolve of this.heard.splice(0)) resolve();
    this.script(JSON.parse(text) as ReadMessage, this);
  }

  /** Say messages, as they are or as JSON. */
  say(...messages: (object | string)[]): void {
    for (const message of messages) {
      const text = typeof message === 'string' ? message : JSON.stringify(message);
      if (!this.handlers) {
        this.early.push(text);
        continue;
      }
      if (this.closed) return;
      const hold = this.handlers.message(parseMessage(text));
      if (hold) this.holds.push(hold);
    }
  }

  exit(message = 'The server exited with code 1'): void {
    this.finish({ cause: 'exited', message });
  }

  close(fault?: string): Promise<void> {
    this.closes++;
    this.finish(
      fault === undefined
        ? { cause: 'ended', message: 'The session has ended' }
        : { cause: 'violated', message: fault },
    );
    return Promise.resolve();
  }

  private finish(why: ChannelClosed): void {
    if (this.closed) return;
    this.closed = why;
    this.handlers?.closed(why);
  }
}

/** A script that answers `initialize` with these members of its result, and everything else by another script. */
export function handshakeServer(result: object, script: ChannelScript = () => undefined): ChannelScript {
  return (message, channel) => {
    if (message.method !== 'initialize') script(message, channel);
    else {
      channel.say({
        jsonrpc: '2.0',
        id: message.id,
        result: {
          protocolVersion: '2025-11-25',
          capabilities: {},
          serverInfo: { name: 'scripted', version: '1' },
          ...result,
        },
      });
    }
  };
}

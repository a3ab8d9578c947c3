import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { Channel, type ChannelClosed, type ChannelHandlers } from '../../src/mcp/channels/channel.js';
import { parseMessage } from '../../src/mcp/jsonrpc/envelope.js';

/** The fixture of the handshake era, which is no TypeScript. */
export async function serveFixture(transport: Transport): Promise<void> {
  const url = new URL('fixture-server/server.js', import.meta.url).href;
  const fixture = (await import(url)) as { serveFixture(transport: Transport): Promise<void> };
  return fixture.serveFixture(transport);
}

/** A conversation with a server of the SDK in this process. `serve` connects one to a transport. */
export class SdkServerChannel extends Channel {
  readonly lastWords = '';
  whyClosed: ChannelClosed | undefined;
  private readonly near: InMemoryTransport;
  private readonly served: Promise<void>;
  private handlers: ChannelHandlers | undefined;

  constructor(serve: (transport: Transport) => Promise<void>) {
    super();
    const [near, far] = InMemoryTransport.createLinkedPair();
    this.near = near;
    this.served = serve(far);
  }

  open(handlers: ChannelHandlers): void {
    this.handlers = handlers;
    Object.assign(this.near, {
      onmessage: (message: object) => void handlers.message(parseMessage(JSON.stringify(message))),
      onclose: () => this.finish({ cause: 'exited', message: 'The server is gone' }),
    });
    void this.near.start();
  }

  async send(text: string): Promise<void> {
    await this.served;
    await this.near.send(JSON.parse(text) as JSONRPCMessage);
  }

  async close(fault?: string): Promise<void> {
    this.finish({ cause: fault === undefined ? 'ended' : 'violated', message: fault ?? 'ended' });
    await this.near.close();
  }

  private finish(why: ChannelClosed): void {
    if (this.whyClosed) return;
    this.whyClosed = why;
    this.handlers?.closed(why);
  }
}

/** A channel as a transport of a client of either SDK; both have the same shape. */
export class ChannelTransport {
  onmessage: ((message: JSONRPCMessage) => void) | undefined;
  onclose: (() => void) | undefined;

  constructor(private readonly channel: Channel) {}

  start(): Promise<void> {
    this.channel.open({
      message: ({ text }) => {
        this.onmessage?.(JSON.parse(text) as JSONRPCMessage);
        return undefined;
      },
      closed: () => this.onclose?.(),
    });
    return Promise.resolve();
  }

  async send(message: object): Promise<void> {
    await this.channel.send(JSON.stringify(message));
  }

  close(): Promise<void> {
    return this.channel.close();
  }
}

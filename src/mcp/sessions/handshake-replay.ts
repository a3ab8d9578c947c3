import { AppError } from '../../errors/app-error.js';
import type { Channel, ChannelClosed } from '../channels/channel.js';
import { type Envelope, rawMembers, type Response, stringIn } from '../jsonrpc/envelope.js';
import { errorText, notificationText, RPC } from '../jsonrpc/json-rpc.js';
import type { ConversationState } from './conversation-state.js';
import { within } from '../../waiting/within.js';

/** A server that does not answer what it was once told still gets the requests that wait. */
const REST_MS = 2000;

/**
 * Begins a conversation with a new server process as its client once began it with another: the same `initialize`, then
 * the log level and the subscriptions. The client sees nothing of it.
 */
export class HandshakeReplay {
  /** Ids of ours whose answers are nobody else's business. */
  private readonly own = new Set<number>();
  private isShaking = true;
  private agree: () => void = () => undefined;
  private settle: (answer: Response | AppError) => void = () => undefined;

  /** @param newId gives numbers that no request of the conversation has */
  constructor(
    private readonly channel: Channel,
    private readonly state: ConversationState,
    private readonly newId: () => number,
  ) {}

  /**
   * Resolves when the server has answered as it once did; `tellRest` is to follow. Throws `server_exited`,
   * `start_timeout`, and `server_invalid` where it would not go on as it began. The channel must be open, with `take` and
   * `fail` told what it says.
   */
  async shakeHands(timeoutMs: number): Promise<void> {
    const answer = await this.ask('initialize', this.state.initialize, timeoutMs);
    this.isShaking = false;
    const { protocolVersion } = rawMembers(answer, answer.result, ['protocolVersion']);
    if (stringIn(protocolVersion) !== this.state.protocolVersion) {
      const { protocolVersion: before } = this.state;
      throw new AppError('server_invalid', {
        detail: `The server does not go on in revision ${before}, in which the session began`,
      });
    }
  }

  /**
   * What the client said after its handshake. Resolves when the server has agreed to it and is heard, so that what the next
   * request brings about is told as it should be, or after 2 s; never rejects.
   */
  async tellRest(): Promise<void> {
    this.say(notificationText('notifications/initialized'));
    if (this.state.logLevel !== undefined) this.tell('logging/setLevel', this.state.logLevel);
    for (const uri of this.state.subscriptions) this.tell('resources/subscribe', JSON.stringify({ uri }));
    const heard = this.channel.untilHeard();
    if ((this.own.size === 0 && !heard) || this.channel.whyClosed) return;
    const agreed = new Promise<void>((resolve) => {
      this.agree = resolve;
    });
    if (this.own.size === 0) this.agree();
    await within(REST_MS, Promise.all([agreed, heard]));
  }

  /** True: the message was for us, or must not reach the client. */
  take(message: Envelope): boolean {
    if (message.kind === 'response') {
      if (!this.own.delete(Number(message.rawId))) return false;
      if (this.isShaking) this.settle(message);
      else if (this.own.size === 0) this.agree();
      return true;
    }
    if (!this.isShaking || message.kind === 'notification') return false;
    // Before the handshake is over a server may ping and nothing else.
    this.say(
      message.method === 'ping'
        ? `{"jsonrpc":"2.0","id":${message.rawId},"result":{}}`
        : errorText(message.rawId, { code: RPC.methodNotFound, message: 'initialize is not answered yet' }),
    );
    return true;
  }

  /** The channel is closed. */
  fail({ cause, message }: ChannelClosed): void {
    this.agree();
    this.settle(new AppError(cause === 'violated' ? 'server_invalid' : 'server_exited', { detail: message }));
  }

  private ask(method: string, params: string, timeoutMs: number): Promise<Response> {
    return new Promise((resolve, reject) => {
      const late = new AppError('start_timeout', {
        detail: `The server did not answer initialize within ${timeoutMs / 1000} s`,
      });
      const timer = setTimeout(() => reject(late), timeoutMs);
      this.settle = (answer) => {
        clearTimeout(timer);
        if (answer instanceof AppError) reject(answer);
        else resolve(answer);
      };
      const { whyClosed } = this.channel;
      if (whyClosed) this.fail(whyClosed);
      else this.tell(method, params);
    });
  }

  private tell(method: string, params: string): void {
    const id = this.newId();
    this.own.add(id);
    this.say(`{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${params}}`);
  }

  /** A server may go away at any word; whoever opened the channel is told. */
  private say(text: string): void {
    if (!this.channel.whyClosed) void this.channel.send(text);
  }
}

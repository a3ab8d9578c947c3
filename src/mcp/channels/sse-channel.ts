import type { IncomingMessage } from 'node:http';
import { AppError } from '../../errors/app-error.js';
import { type Envelope, parseMessage } from '../jsonrpc/envelope.js';
import { oddType, requireReadable } from './http-answer.js';
import { HttpChannel } from './http-channel.js';
import type { HttpEndpoint } from './http-endpoint.js';
import { ask, discard, HttpFault, mediaTypeOf } from './http-exchange.js';
import type { SseEvent } from './sse-parser.js';

const ACCEPT_MS = 10_000;
const MAX_PATH_CHARS = 4096;

/**
 * A conversation with an HTTP+SSE server (revision 2024-11-05): it speaks on one event stream, which says first where
 * messages for it go.
 */
export class SseChannel extends HttpChannel {
  private path: string | undefined;
  private located!: { resolve: () => void; reject: (error: unknown) => void };

  /**
   * Connect and wait for the server's `endpoint` event. Throws `server_invalid` with what it did instead, `server_exited`,
   * or `start_timeout` when the signal comes first.
   */
  static async connect(
    endpoint: HttpEndpoint,
    maxMessageBytes: number,
    signal: AbortSignal,
  ): Promise<SseChannel> {
    const channel = new SseChannel(endpoint, maxMessageBytes);
    const located = new Promise<void>((resolve, reject) => {
      channel.located = { resolve, reject };
    });
    const late = (): void => {
      const detail = channel.withLastWords('Its event stream did not begin with an endpoint event in time');
      channel.located.reject(new AppError('start_timeout', { detail }));
    };
    signal.addEventListener('abort', late, { once: true });
    if (signal.aborted) late();
    channel.listen();
    try {
      await located;
      return channel;
    } catch (error) {
      await channel.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', late);
    }
  }

  send(text: string): Promise<void> | undefined {
    if (this.closed) throw new Error(this.closed.message);
    const message = parseMessage(text);
    if (this.full && message.kind === 'request') {
      return this.answerError(
        message.rawId,
        'Too many messages to this server are under way; wait for answers',
      );
    }
    return new Promise((resolve) => {
      this.run(async (exchange) => {
        await this.post(message, exchange);
        resolve();
      });
    });
  }

  /** The server sees the end of its stream. */
  protected sayGoodbye(): Promise<void> {
    return Promise.resolve();
  }

  private async post(message: Envelope, exchange: AbortController): Promise<void> {
    const late = setTimeout(() => exchange.abort(new HttpFault('did not take a message in time')), ACCEPT_MS);
    const { signal } = exchange;
    try {
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
      const path = this.path ?? this.endpoint.path;
      const answer = await ask(this.endpoint, { method: 'POST', path, headers, body: message.text }, signal)
        .response;
      discard(answer);
      requireReadable(answer);
    } catch (error) {
      if (message.kind !== 'request' || this.closed) return;
      const why = await this.explain(signal.aborted ? signal.reason : error);
      // That the server is gone is told by the end of the conversation.
      if (!this.endpoint.gone.aborted) await this.answerError(message.rawId, this.withLastWords(why));
    } finally {
      clearTimeout(late);
    }
  }

  private listen(): void {
    this.run(async ({ signal }) => {
      let why: string;
      let cause: 'exited' | 'violated' = 'exited';
      try {
        const headers = { accept: 'text/event-stream' };
        const answer = await ask(this.endpoint, { method: 'GET', headers }, signal).response;
        await this.readAnswer(answer);
        why = 'The server ended its event stream';
      } catch (error) {
        if (error instanceof HttpFault) cause = 'violated';
        why = await this.explain(error);
      }
      const code = cause === 'violated' ? 'server_invalid' : 'server_exited';
      this.located.reject(new AppError(code, { detail: this.withLastWords(why) }));
      // The end of the process is told by itself, and says who ended it.
      if (!this.endpoint.gone.aborted) this.finish(cause, why);
    });
  }

  private async readAnswer(answer: IncomingMessage): Promise<void> {
    requireReadable(answer);
    if (mediaTypeOf(answer) !== 'text/event-stream') throw oddType(answer);
    await this.readEvents(answer, (event) => this.receive(event));
  }

  private async receive({ type, data }: SseEvent): Promise<void> {
    if (type === 'endpoint' && this.path === undefined) {
      this.path = this.pathIn(data);
      this.located.resolve();
    } else if (type === 'message' && data !== '' && this.path !== undefined) {
      for (const message of this.parse(data)) await this.deliver(message);
    }
  }

  /** Only ever a path: messages go to the endpoint's own address, whatever the server says. */
  private pathIn(data: string): string {
    const base = new URL(this.endpoint.path, `http://${this.endpoint.host}`);
    const url =
      data.length <= MAX_PATH_CHARS && URL.canParse(data, base.href) ? new URL(data, base) : undefined;
    if (url === undefined) throw new HttpFault('named an endpoint for messages that is no URL');
    if (url.origin !== base.origin || url.username !== '' || url.password !== '') {
      throw new HttpFault(
        `named an endpoint for messages at ${url.origin}, which is not where its stream is (${base.origin})`,
      );
    }
    return `${url.pathname}${url.search}`;
  }
}

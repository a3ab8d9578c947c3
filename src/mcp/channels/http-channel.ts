import { isUtf8 } from 'node:buffer';
import { type IncomingMessage } from 'node:http';
import { within } from '../../waiting/within.js';
import { type Envelope, parseBody, parseMessage } from '../jsonrpc/envelope.js';
import { errorText, RPC } from '../jsonrpc/json-rpc.js';
import { Channel, type ChannelClosed, type ChannelHandlers, type Origin } from './channel.js';
import { type HttpEndpoint, ServerStopped } from './http-endpoint.js';
import { explainFailure, HttpFault, readBody, reasonOf } from './http-exchange.js';
import { withLastWords } from './last-words.js';
import { SseError, type SseEvent, SseParser } from './sse-parser.js';

/** Events that are no message are a fault of the server; so many in a row are not to be read on. */
const MAX_GARBAGE_EVENTS = 1000;
/** For what the server had answered before it went away. */
const LAST_ANSWERS_MS = 300;
/** Messages under way at once, each of which holds a socket. */
const MAX_UNDER_WAY = 128;

/** What the two channels to servers that speak HTTP have in common: order, back-pressure, and their end. */
export abstract class HttpChannel extends Channel {
  protected closed: ChannelClosed | undefined;
  private handlers: ChannelHandlers | undefined;
  private readonly opened: Promise<void>;
  private markOpened!: () => void;
  private delivering: Promise<void> | undefined;
  private garbageEvents = 0;
  /** One controller for each exchange that is under way, to break it off. */
  private readonly underWay = new Map<AbortController, Promise<void>>();
  private ending: Promise<void> | undefined;
  private readonly onGone = (): void => void this.finishWithServer();

  constructor(
    protected readonly endpoint: HttpEndpoint,
    protected readonly maxMessageBytes: number,
  ) {
    super();
    this.opened = new Promise((resolve) => {
      this.markOpened = resolve;
    });
    endpoint.gone.addEventListener('abort', this.onGone, { once: true });
    if (endpoint.gone.aborted) this.onGone();
  }

  get whyClosed(): ChannelClosed | undefined {
    return this.closed;
  }

  get lastWords(): string {
    return this.endpoint.lastWords;
  }

  open(handlers: ChannelHandlers): void {
    this.handlers = handlers;
    this.markOpened();
    if (this.closed) handlers.closed(this.closed);
  }

  close(fault?: string): Promise<void> {
    if (fault === undefined) this.finish('ended', 'The session has ended');
    else this.finish('violated', fault);
    return this.ending ?? Promise.resolve();
  }

  /** Tell the server that the conversation is over; bounded, never rejects. */
  protected abstract sayGoodbye(): Promise<void>;

  /** More would hold more sockets than one conversation may have. */
  protected get full(): boolean {
    return this.underWay.size >= MAX_UNDER_WAY;
  }

  /**
   * Own an exchange until it is over. `work` must not reject; it is aborted when the channel closes. `background`: no
   * answer hangs on it, so the end of the server need not wait for it.
   */
  protected run(work: (exchange: AbortController) => Promise<void>, background = false): AbortController {
    const controller = new AbortController();
    if (this.closed) controller.abort();
    const done = work(controller).finally(() => this.underWay.delete(controller));
    this.underWay.set(controller, background ? Promise.resolve() : done);
    return controller;
  }

  /** Hand over a message, behind the ones before it; resolves when there is room for the next. Never rejects. */
  protected async deliver(message: Envelope, origin?: Origin): Promise<void> {
    await this.opened;
    while (this.delivering) await this.delivering;
    if (this.closed || !this.handlers) return;
    this.garbageEvents = 0;
    const delivery = this.handOver(message, this.handlers, origin);
    if (!delivery) return;
    this.delivering = delivery;
    try {
      await delivery;
    } finally {
      this.delivering = undefined;
    }
  }

  /** What goes wrong with one conversation must not reach the others. */
  private handOver(message: Envelope, handlers: ChannelHandlers, origin: Origin): Promise<void> | undefined {
    const failed = (error: unknown): void =>
      void this.close(`A message of the server could not be handled: ${String(error)}`);
    try {
      return handlers.message(message, origin)?.catch(failed);
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  /** Answer a request in the server's place. */
  protected async answerError(rawId: string, why: string): Promise<void> {
    await this.deliver(parseMessage(errorText(rawId, { code: RPC.serverError, message: why })));
  }

  /** The messages in a text of the server; none where it is no JSON-RPC. */
  protected parse(text: string): Envelope[] {
    try {
      return parseBody(text).messages;
    } catch {
      this.garbageEvents++;
      if (this.garbageEvents > MAX_GARBAGE_EVENTS) {
        void this.close(
          `The server sent more than ${MAX_GARBAGE_EVENTS} messages in a row that are not JSON-RPC`,
        );
      }
      return [];
    }
  }

  /** The body of a JSON answer. Throws `HttpFault`, or what broke the connection. */
  protected async readJson(response: IncomingMessage, use: (text: string) => Promise<void>): Promise<void> {
    const memory = this.endpoint.answerMemory();
    try {
      const body = await readBody(response, this.maxMessageBytes, memory);
      if (!isUtf8(body)) throw new HttpFault('answered with what is not UTF-8');
      await use(body.toString('utf8'));
    } finally {
      memory.release();
    }
  }

  /** Read a stream to its end; no further than `use` can follow. Throws like `readJson`. */
  protected async readEvents(
    response: IncomingMessage,
    use: (event: SseEvent) => Promise<void>,
    onRetry: (ms: number) => void = () => undefined,
  ): Promise<void> {
    const parser = new SseParser(this.maxMessageBytes);
    const memory = this.endpoint.answerMemory();
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        memory.grow(chunk.length);
        const events = parser.push(chunk);
        if (parser.retryMs !== undefined) onRetry(parser.retryMs);
        for (const event of events) await use(event);
        memory.release();
        memory.grow(parser.heldBytes);
      }
    } catch (error) {
      throw error instanceof SseError ? new HttpFault(`sent ${error.message}`) : error;
    } finally {
      memory.release();
    }
    if (!response.complete) throw new Error('it broke its answer off');
  }

  /** What a failed exchange means, for a person. */
  protected explain(failure: unknown): Promise<string> {
    return explainFailure(this.endpoint, failure);
  }

  protected finish(cause: ChannelClosed['cause'], message: string): void {
    if (this.closed) return;
    this.closed = { cause, message: cause === 'ended' ? message : this.withLastWords(message) };
    this.endpoint.gone.removeEventListener('abort', this.onGone);
    for (const controller of this.underWay.keys()) controller.abort();
    this.ending = this.endpoint.gone.aborted ? Promise.resolve() : this.sayGoodbye();
    this.handlers?.closed(this.closed);
  }

  /** What the server had answered before it went away is still on its connections. */
  private async finishWithServer(): Promise<void> {
    await within(LAST_ANSWERS_MS, Promise.all(this.underWay.values()));
    const { gone } = this.endpoint;
    this.finish(gone.reason instanceof ServerStopped ? 'stopped' : 'exited', reasonOf(gone));
  }

  protected withLastWords(message: string): string {
    return withLastWords(message, this.endpoint.lastWords);
  }
}

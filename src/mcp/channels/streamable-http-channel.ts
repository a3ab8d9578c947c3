import type { IncomingMessage } from 'node:http';
import {
  type Envelope,
  parseMessage,
  rawMembers,
  rawSlot,
  type Request,
  type Response,
  stringIn,
} from '../jsonrpc/envelope.js';
import { requestText } from '../jsonrpc/json-rpc.js';
import { hasModernClaim } from '../modern/modern-request.js';
import type { Origin } from './channel.js';
import { type Cursor, followStream, NoStream } from './follow-stream.js';
import { oddType, requireReadable } from './http-answer.js';
import { HttpChannel } from './http-channel.js';
import { ask, discard, HttpFault, mediaTypeOf } from './http-exchange.js';
import { modernHeaders } from './modern-headers.js';
import { sessionIdIn } from './session-id-header.js';
import type { SseEvent } from './sse-parser.js';
import { ToolParamHeaders } from './tool-param-headers.js';

const GOODBYE_MS = 2000;
/** For messages that have no answer. */
const ACCEPT_MS = 10_000;
const REVISION = /^[\w.-]{1,64}$/;

/** A request that waits for its answer. */
interface Call {
  message: Request;
  modern: boolean;
  exchange: AbortController | undefined;
  /** It is our own question, and this takes the answer; undefined where there is none. */
  settle: ((answer: Response | undefined) => void) | undefined;
}

/**
 * A conversation with a Streamable HTTP server: a session of the handshake era (revisions 2025-03-26 to 2025-11-25), and
 * requests of revision 2026-07-28, which know themselves and have none.
 */
export class StreamableHttpChannel extends HttpChannel {
  private readonly calls = new Map<string, Call>();
  private readonly toolHeaders = new ToolParamHeaders((params, signal) => this.askTools(params, signal));
  private nextOwnId = 1;
  private sessionId: string | undefined;
  private revision: string | undefined;
  private initializeId: string | undefined;
  /** `notifications/initialized` under way; what comes after it must not overtake it. */
  private initializing: Promise<void> | undefined;
  private markHeard: () => void = () => undefined;
  private hearing: Promise<void> | undefined = new Promise((resolve) => {
    this.markHeard = () => {
      this.hearing = undefined;
      resolve();
    };
  });

  send(text: string): Promise<void> | undefined {
    if (this.closed) throw new Error(this.closed.message);
    const message = parseMessage(text);
    const sent = this.initializing
      ? this.initializing.then(() => this.dispatch(message))
      : this.dispatch(message);
    if (isInitialized(message)) this.initializing = sent;
    return sent;
  }

  override untilHeard(): Promise<void> | undefined {
    return this.hearing;
  }

  protected async sayGoodbye(): Promise<void> {
    if (this.sessionId === undefined) return;
    const signal = AbortSignal.timeout(GOODBYE_MS);
    try {
      discard(
        await ask(this.endpoint, { method: 'DELETE', headers: this.sessionHeaders() }, signal).response,
      );
    } catch {
      // A server that has no DELETE, or is in trouble, forgets the session in its own time.
    }
  }

  /** Resolves when the message is on its way; one that has no answer, when the server has taken it. Never rejects. */
  private async dispatch(message: Envelope): Promise<void> {
    if (message.kind === 'request') return this.request(message);
    const cancelled = this.cancelledCall(message);
    if (!cancelled?.modern) await this.tell(message);
    // No answer will come, and what its stream still says has nowhere to go. In the modern era this is the cancellation.
    cancelled?.exchange?.abort();
    if (isInitialized(message)) this.listen();
  }

  /** The call that a cancellation is about; it gets no answer any more. */
  private cancelledCall(message: Envelope): Call | undefined {
    if (message.kind !== 'notification' || message.method !== 'notifications/cancelled') return undefined;
    const rawId = rawSlot(message, 'requestId');
    const call = rawId === undefined ? undefined : this.calls.get(rawId);
    if (rawId !== undefined) this.calls.delete(rawId);
    return call;
  }

  private tell(message: Envelope): Promise<void> {
    return new Promise((resolve) => {
      this.run(async (exchange) => {
        const late = setTimeout(() => exchange.abort(), ACCEPT_MS);
        try {
          const headers = { ...this.sessionHeaders(), ...BODY };
          const post = { method: 'POST', headers, body: message.text } as const;
          const answer = await ask(this.endpoint, post, exchange.signal).response;
          this.requireSession(answer);
          discard(answer);
        } catch {
          // Nobody waits for it; that the server is gone is told by its end.
        } finally {
          clearTimeout(late);
          resolve();
        }
      });
    });
  }

  /** Ask for ourselves. Never rejects. */
  private askTools(params: object, signal: AbortSignal): Promise<Response | undefined> {
    const id = `channel-${this.nextOwnId++}`;
    const message = parseMessage(requestText(id, 'tools/list', params)) as Request;
    return new Promise((resolve) => {
      const late = (): void => {
        this.calls.get(message.rawId)?.exchange?.abort();
        this.calls.delete(message.rawId);
        resolve(undefined);
      };
      signal.addEventListener('abort', late, { once: true });
      void this.request(message, resolve);
    });
  }

  private request(message: Request, settle?: Call['settle']): Promise<void> {
    const modern = hasModernClaim(message);
    const call: Call = { message, modern, exchange: undefined, settle };
    this.calls.set(message.rawId, call);
    if (this.full)
      return this.fail(message.rawId, 'Too many requests to this server are in flight; wait for answers');
    const initialize = message.method === 'initialize' && !modern;
    if (initialize) this.initializeId = message.rawId;
    return new Promise((resolve) => {
      call.exchange = this.run(async ({ signal }) => {
        const cursor: Cursor = { lastEventId: undefined, retryMs: undefined };
        let fault: unknown;
        try {
          const own = modern ? modernHeaders(message) : this.sessionHeaders();
          const params = modern && message.method === 'tools/call' && (await this.toolHeaders.of(message));
          const headers = { ...own, ...params, ...BODY };
          const { sent, response } = ask(
            this.endpoint,
            { method: 'POST', headers, body: message.text },
            signal,
          );
          void sent.then(resolve);
          await this.readAnswer(await response, message, cursor, initialize);
        } catch (error) {
          fault = error;
        }
        resolve();
        if (!modern && cursor.lastEventId !== undefined && this.calls.has(message.rawId)) {
          fault = (await this.follow(cursor, signal, message.rawId)) ?? fault;
        }
        if (this.closed) settle?.(undefined);
        if (!this.calls.has(message.rawId) || this.closed) return;
        const why = await this.explain(fault ?? new HttpFault('ended its answer without having answered'));
        await this.fail(message.rawId, why);
      });
    });
  }

  private async fail(rawId: string, why: string): Promise<void> {
    const call = this.calls.get(rawId);
    this.calls.delete(rawId);
    if (call?.settle) call.settle(undefined);
    // That the server is gone is told by the end of the conversation.
    else if (call && !this.endpoint.gone.aborted) await this.answerError(rawId, this.withLastWords(why));
  }

  private async readAnswer(
    answer: IncomingMessage,
    message: Request,
    cursor: Cursor,
    initialize: boolean,
  ): Promise<void> {
    const modern = this.calls.get(message.rawId)?.modern ?? false;
    if (!modern) this.requireSession(answer);
    const type = mediaTypeOf(answer);
    const { statusCode: status = 0 } = answer;
    if (status >= 400 && type === 'application/json' && (await this.readRefusal(answer, message))) return;
    requireReadable(answer);
    if (initialize) this.sessionId = sessionIdIn(answer);
    if (type === 'text/event-stream') return this.readStream(answer, cursor, message.rawId);
    if (type !== 'application/json') throw oddType(answer);
    await this.readJson(answer, async (text) => {
      for (const part of this.parse(text)) await this.receive(part, message.rawId);
    });
  }

  /** An error of JSON-RPC in a refusal is the answer, whatever id it has. False: there is none. */
  private async readRefusal(answer: IncomingMessage, { rawId }: Request): Promise<boolean> {
    let refused = false;
    await this.readJson(answer, async (text) => {
      const refusal = this.parse(text)[0];
      if (refusal?.kind !== 'response' || !refusal.error) return;
      refused = true;
      const error = refusal.text.slice(refusal.error.start, refusal.error.end);
      await this.receive(parseMessage(`{"jsonrpc":"2.0","id":${rawId},"error":${error}}`), rawId);
    });
    return refused;
  }

  private readStream(answer: IncomingMessage, cursor: Cursor, origin: Origin): Promise<void> {
    const use = async (event: SseEvent): Promise<void> => {
      if (event.type === 'message' && event.data !== '') {
        for (const message of this.parse(event.data)) await this.receive(message, origin);
      }
      cursor.lastEventId = event.id ?? cursor.lastEventId;
    };
    return this.readEvents(answer, use, (ms) => {
      cursor.retryMs = ms;
    });
  }

  /** An answer to something that nobody asked, or a second one, ends here. */
  private async receive(message: Envelope, origin: Origin): Promise<void> {
    if (message.kind === 'response') {
      const call = this.calls.get(message.rawId);
      if (!call) return;
      this.calls.delete(message.rawId);
      if (call.settle) return call.settle(message);
      if (call.modern) this.toolHeaders.learn(call.message, message);
      if (message.rawId === this.initializeId) this.learnRevision(message);
    }
    await this.deliver(message, origin);
  }

  private learnRevision(answer: Response): void {
    this.initializeId = undefined;
    const revision = stringIn(rawMembers(answer, answer.result, ['protocolVersion']).protocolVersion);
    if (revision !== undefined && REVISION.test(revision)) this.revision = revision;
  }

  /** What the server says of itself; a server that has no such stream says so and is not asked again. */
  private listen(): void {
    if (this.closed) return;
    this.run(async ({ signal }) => {
      const fault = await this.follow({ lastEventId: undefined, retryMs: undefined }, signal, null);
      this.markHeard();
      const broken = fault instanceof HttpFault && !(fault instanceof NoStream);
      if (broken && !this.closed) this.finish('violated', `The server ${fault.message}`);
    }, true);
  }

  /** The rest of a stream, through GET: that of a call, or (`null`) that of the session. */
  private follow(cursor: Cursor, signal: AbortSignal, origin: string | null): Promise<unknown> {
    let known = cursor.lastEventId !== undefined;
    const get = async (lastEventId: string | undefined): Promise<IncomingMessage> => {
      const resume = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      const headers = { ...this.sessionHeaders(), accept: 'text/event-stream', ...resume };
      const answer = await ask(this.endpoint, { method: 'GET', headers }, signal).response;
      if (origin === null) this.markHeard();
      // Servers that have no GET answer it with 404 as well.
      if (known) this.requireSession(answer);
      known = true;
      return answer;
    };
    const read = (answer: IncomingMessage): Promise<void> => this.readStream(answer, cursor, origin);
    const done = (): boolean => origin !== null && !this.calls.has(origin);
    return followStream({ get, read }, cursor, signal, done);
  }

  /** A session that the server does not know any more is the end of the conversation. */
  private requireSession(answer: IncomingMessage): void {
    if (answer.statusCode !== 404 || this.sessionId === undefined) return;
    discard(answer);
    this.sessionId = undefined;
    this.finish('exited', 'The server has ended the session (HTTP 404)');
    throw new HttpFault('has ended the session (HTTP 404)');
  }

  private sessionHeaders(): Record<string, string> {
    return {
      ...(this.sessionId !== undefined && { 'mcp-session-id': this.sessionId }),
      ...(this.revision !== undefined && { 'mcp-protocol-version': this.revision }),
    };
  }
}

function isInitialized(message: Envelope): boolean {
  return message.kind === 'notification' && message.method === 'notifications/initialized';
}

const BODY = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

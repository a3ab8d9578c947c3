import { type Message, readEvents, type SseEvent } from './client-events.js';

export interface Answer {
  status: number;
  headers: Headers;
  /** Everything that came, in the order in which it came. */
  messages: Message[];
  /** Empty where the answer was one JSON body. */
  events: SseEvent[];
}

/** Answers a request of the server, or leaves it alone by returning undefined. */
export type Respond = (request: Message) => Record<string, unknown> | undefined;

interface PostOptions {
  headers?: Record<string, string>;
  signal?: AbortSignal;
  respond?: Respond;
  /** Called with each message as it comes. */
  onMessage?: (message: Message) => void;
}

const BOTH = 'application/json, text/event-stream';

/** A client of Streamable HTTP with nothing between the test and the wire: ids and tokens are the caller's. */
export class RawClient {
  sessionId: string | undefined;
  revision: string | undefined;

  constructor(
    readonly url: string,
    private readonly headers: Record<string, string> = {},
  ) {}

  /** Shake hands; returns the result of `initialize`. */
  async open(
    capabilities: Record<string, unknown> = {},
    protocolVersion = '2025-11-25',
  ): Promise<Record<string, unknown>> {
    const clientInfo = { name: 'raw', version: '1.0.0' };
    const answer = await this.post({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion, capabilities, clientInfo },
    });
    const result = answer.messages.at(-1)?.result;
    if (!result) throw new Error(`initialize answered ${answer.status}: ${JSON.stringify(answer.messages)}`);
    this.sessionId = answer.headers.get('mcp-session-id') ?? undefined;
    this.revision = String(result['protocolVersion']);
    await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return result;
  }

  /** POST a message and read the answer to its end. */
  async post(body: unknown, { headers = {}, signal, respond, onMessage }: PostOptions = {}): Promise<Answer> {
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: BOTH, ...this.common(), ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...(signal && { signal }),
    });
    const answer: Answer = { status: response.status, headers: response.headers, messages: [], events: [] };
    const take = async (message: Message): Promise<void> => {
      answer.messages.push(message);
      onMessage?.(message);
      const result =
        message.method !== undefined && message.id !== undefined ? respond?.(message) : undefined;
      if (result) await this.post({ jsonrpc: '2.0', id: message.id, result });
    };
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
      for await (const event of readEvents(response)) {
        answer.events.push(event);
        if (event.data !== '') await take(JSON.parse(event.data) as Message);
      }
    } else {
      const text = await response.text();
      const json = text === '' ? [] : (JSON.parse(text) as Message | Message[]);
      for (const message of Array.isArray(json) ? json : [json]) await take(message);
    }
    return answer;
  }

  /** Call a tool under this very id; returns everything that came. */
  call(
    id: string | number,
    name: string,
    args: Record<string, unknown> = {},
    options: PostOptions & { progressToken?: string | number } = {},
  ): Promise<Answer> {
    const { progressToken } = options;
    const meta = progressToken === undefined ? {} : { _meta: { progressToken } };
    const params = { name, arguments: args, ...meta };
    return this.post({ jsonrpc: '2.0', id, method: 'tools/call', params }, options);
  }

  /** Open the GET stream, or resume the stream this event id belongs to. */
  listen(lastEventId?: string, signal?: AbortSignal): Promise<Response> {
    return fetch(this.url, {
      headers: {
        accept: 'text/event-stream',
        ...this.common(),
        ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
      },
      ...(signal && { signal }),
    });
  }

  /** DELETE the session. */
  async end(): Promise<number> {
    const response = await fetch(this.url, { method: 'DELETE', headers: this.common() });
    await response.arrayBuffer();
    return response.status;
  }

  private common(): Record<string, string> {
    return {
      ...this.headers,
      ...(this.sessionId !== undefined && { 'mcp-session-id': this.sessionId }),
      ...(this.revision !== undefined && { 'mcp-protocol-version': this.revision }),
    };
  }
}

/** The text that a tool answered; throws where the last message is no such thing. */
export function answerText(answer: Answer): string {
  const content = answer.messages.at(-1)?.result?.['content'] as { text: string }[] | undefined;
  const text = content?.[0]?.text;
  if (text === undefined)
    throw new Error(`No text in ${answer.status} ${JSON.stringify(answer.messages).slice(0, 500)}`);
  return text;
}

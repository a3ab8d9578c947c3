import { Agent, request } from 'node:http';
import { type Conversation, echoedText, INITIALIZE } from './target.js';

interface HttpAnswer {
  status: number;
  sessionId: string | undefined;
  text: string;
}

/** A Streamable HTTP client as thin as it can be, the same for every target. */
export class HttpConversation implements Conversation {
  private readonly agent = new Agent({ keepAlive: true });
  private readonly headers: Record<string, string>;
  private nextId = 1;

  constructor(
    private readonly url: string,
    headers: Record<string, string>,
  ) {
    this.headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    };
  }

  static async open(url: string, headers: Record<string, string> = {}): Promise<HttpConversation> {
    const conversation = new HttpConversation(url, headers);
    const { status, sessionId, text } = await conversation.post({
      id: conversation.nextId++,
      method: 'initialize',
      params: INITIALIZE,
    });
    if (status !== 200 || sessionId === undefined) throw new Error(`initialize answered ${status}: ${text}`);
    conversation.headers['mcp-session-id'] = sessionId;
    conversation.headers['mcp-protocol-version'] = INITIALIZE.protocolVersion;
    await conversation.post({ method: 'notifications/initialized' });
    return conversation;
  }

  async echo(message: string): Promise<string> {
    const params = { name: 'echo', arguments: { message } };
    const { status, text } = await this.post({ id: this.nextId++, method: 'tools/call', params });
    if (status !== 200) throw new Error(`tools/call answered ${status}: ${text}`);
    return echoedText(JSON.parse(text.startsWith('{') ? text : lastData(text)));
  }

  async close(): Promise<void> {
    await this.send('DELETE', undefined);
    this.agent.destroy();
  }

  private post(message: object): Promise<HttpAnswer> {
    return this.send('POST', JSON.stringify({ jsonrpc: '2.0', ...message }));
  }

  private send(method: string, body: string | undefined): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const req = request(this.url, { method, agent: this.agent, headers: this.headers }, (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          const sessionId = res.headers['mcp-session-id'];
          resolve({
            status: res.statusCode ?? 0,
            sessionId: typeof sessionId === 'string' ? sessionId : undefined,
            text: Buffer.concat(chunks).toString(),
          });
        });
      });
      req.on('error', reject);
      req.end(body);
    });
  }
}

/** The answer is the last event of its stream. */
function lastData(stream: string): string {
  const lines = stream.split('\n').filter((line) => line.startsWith('data: {'));
  return lines.at(-1)?.slice('data: '.length) ?? '';
}

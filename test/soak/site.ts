import { setTimeout as delay } from 'node:timers/promises';
import { answerText, RawClient } from '../support/client-raw.js';
import { headersOf, modern } from '../support/modern-request.js';
import type { DeploymentRequest, Service } from '../support/service.js';
import { execsIn } from '../support/sandbox-processes.js';
import { RawSseClient } from '../support/sse-client.js';
import { RawWebSocketClient } from '../support/websocket-client.js';

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'soak', version: '1.0.0' },
  },
};
const INITIALIZED = { jsonrpc: '2.0', method: 'notifications/initialized' };

const POLL_MS = 200;
const SPARES = 1;
/** Of a call that nobody answers, of idleness, and some for a busy machine. */
const ASLEEP_MS = 180_000;
/** Of idleness, the reaper's next round, and the pause itself on a busy machine. */
const PAUSE_MS = 60_000;

type Connection = RawSseClient | RawWebSocketClient;

/** A deployment of the tiny server, and sessions with it that have been of use already. */
export class Site {
  /** Sessions, or requests of the era without. */
  opened = 0;

  private constructor(
    private readonly service: Service,
    readonly id: string,
    readonly maxSessions: number,
  ) {}

  static async create(service: Service, request: DeploymentRequest & { maxSessions: number }): Promise<Site> {
    const { id } = await service.deploy(request);
    return new Site(service, id, request.maxSessions);
  }

  async http(): Promise<RawClient> {
    this.opened++;
    const client = this.client();
    await client.open();
    await useHttp(client);
    return client;
  }

  async sse(): Promise<RawSseClient> {
    const client = await RawSseClient.connect(this.service.port, this.headers, `/mcp-server/${this.id}`);
    return this.greet(client);
  }

  async webSocket(): Promise<RawWebSocketClient> {
    return this.greet(await this.connectWebSocket());
  }

  /** A WebSocket on which nothing was said. */
  connectWebSocket(): Promise<RawWebSocketClient> {
    const url = `ws://127.0.0.1:${this.service.port}/mcp-server/${this.id}/ws`;
    return RawWebSocketClient.connect(url, { headers: this.headers });
  }

  /** Leaves while its handshake waits for the deployment, which is paused. */
  async leaveHandshake(): Promise<void> {
    this.opened++;
    const leaving = new AbortController();
    const opening = this.client()
      .post(INITIALIZE, { signal: leaving.signal })
      .catch(() => undefined);
    while ((await this.status()) === 'paused') await delay(POLL_MS);
    leaving.abort();
    await opening;
  }

  /** A request of the era without sessions. */
  async modernCall(tool: string, signal?: AbortSignal): Promise<void> {
    this.opened++;
    await this.callModern(tool, signal);
  }

  /** The server process that is kept for us is in use. */
  keepWarm(): Promise<void> {
    return this.callModern('echo');
  }

  private async callModern(tool: string, signal?: AbortSignal): Promise<void> {
    const request = modern(7, 'tools/call', { name: tool, arguments: { text: 'modern' } });
    const headers = headersOf(request) as Record<string, string>;
    const answer = await this.client().post(request, { headers, ...(signal && { signal }) });
    requireText(answerText(answer), 'modern');
  }

  async pause(): Promise<void> {
    await this.service.api('POST', `/api/deployment/${this.id}/pause?wait=60`);
  }

  /** Resolves when no session has a server process. */
  async untilAsleep(): Promise<void> {
    const { containerId } = (await this.service.get(this.id)).sandbox;
    for (const until = Date.now() + ASLEEP_MS; ; await delay(POLL_MS)) {
      const execs = await execsIn(containerId ?? '');
      if (execs.length <= SPARES) return;
      if (Date.now() >= until) throw new Error(`${execs.length} processes of idle sessions still run`);
    }
  }

  /** Resolves when it is paused, which it is not while anything seems to be in flight. */
  async becomeIdle(): Promise<void> {
    await this.service.api('PATCH', `/api/deployment/${this.id}`, { pauseAfterSeconds: 30 });
    for (const until = Date.now() + PAUSE_MS; (await this.status()) !== 'paused'; await delay(POLL_MS)) {
      if (Date.now() >= until) throw new Error(`${this.id} is not paused, as if a call were still in flight`);
    }
  }

  private async status(): Promise<string> {
    return (await this.service.get(this.id)).status;
  }

  /** As many sessions at once as there may be, and not one more. Throws where the places are not all there. */
  async fill(): Promise<void> {
    const clients = await Promise.all(Array.from({ length: this.maxSessions }, () => this.http()));
    const oneMore = await this.client().post(INITIALIZE);
    if (oneMore.status !== 503) throw new Error(`One session too many was answered ${oneMore.status}`);
    await Promise.all(clients.map((client) => client.end()));
  }

  private async greet<C extends Connection>(connection: C): Promise<C> {
    this.opened++;
    await connection.ask(INITIALIZE, 1);
    await connection.send(INITIALIZED);
    await useConnection(connection);
    return connection;
  }

  private client(): RawClient {
    return new RawClient(`http://127.0.0.1:${this.service.port}/mcp-server/${this.id}/mcp`, this.headers);
  }

  private get headers(): Record<string, string> {
    return { 'x-api-key': this.service.apiKey };
  }
}

/** Any call that must be answered. */
export async function useHttp(client: RawClient): Promise<void> {
  requireText(answerText(await client.call(2, 'echo', { text: 'of use' })), 'of use');
}

export async function endHttp(client: RawClient): Promise<void> {
  const status = await client.end();
  if (status !== 200) throw new Error(`DELETE answered ${status}`);
}

export async function useConnection(connection: Connection): Promise<void> {
  const count = connection.messages.length + 1;
  const messages = await connection.ask(callOf('echo'), count);
  const result = messages[count - 1]?.['result'] as { content: { text: string }[] } | undefined;
  requireText(result?.content[0]?.text, 'of use');
}

/** Returns when the server has got the call, which it will not answer. */
export async function askInVain(connection: Connection): Promise<void> {
  await connection.send(callOf('silence', 3));
  await useConnection(connection);
}

export function callOf(name: string, id = 2): object {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: { text: 'of use' } } };
}

function requireText(text: string | undefined, expected: string): void {
  if (text !== expected) throw new Error(`The server answered ${text}, not ${expected}`);
}

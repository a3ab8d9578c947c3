import { afterEach, describe, expect, it } from 'vitest';
import { type ConnectionServer, startConnections } from '../../../../test/support/connection-server.js';
import { initialize } from '../../../../test/support/edge-server.js';
import { mcpServer, type ReadMessage, type Script } from '../../../../test/support/scripted-process.js';
import { RawSseClient } from '../../../../test/support/sse-client.js';
import { RawWebSocketClient } from '../../../../test/support/websocket-client.js';

type Message = Record<string, unknown>;

const ROUNDS = 200;
const ID = 'same';

/** A call is logged, reported, asked about under an id that all servers use, and answered with all of that. */
const chatty: Script = mcpServer((message, process) => {
  const calls = ((process as unknown as { calls?: ReadMessage[] }).calls ??= []);
  if (message.method === 'tools/call') {
    calls.push(message);
    const meta = message.params?.['_meta'] as { progressToken: unknown };
    const label = message.params?.['label'];
    process.say(
      { jsonrpc: '2.0', method: 'notifications/message', params: { data: label } },
      {
        jsonrpc: '2.0',
        method: 'notifications/progress',
        params: { progressToken: meta.progressToken, progress: 1, message: label },
      },
      { jsonrpc: '2.0', id: 0, method: 'elicitation/create', params: { message: label } },
    );
  } else if (message.id === 0) {
    process.say({ jsonrpc: '2.0', id: calls.shift()?.id, result: { answer: message.result } });
  }
});

interface Client {
  send(message: object): unknown;
  messages: Message[];
  until(count: number): Promise<void>;
}

let server: ConnectionServer;

afterEach(() => server.close());

const clients: Record<string, () => Promise<Client>> = {
  'HTTP+SSE': async () => {
    const client = await RawSseClient.connect(server.port);
    return {
      send: (message) => client.post(message),
      messages: client.messages,
      until: (count) => client.until(count),
    };
  },
  WebSocket: async () => {
    const client = await RawWebSocketClient.connect(`ws://127.0.0.1:${server.port}/ws`);
    return {
      send: (message) => client.send(message),
      messages: client.messages,
      until: (count) => client.until(() => client.messages.length >= count),
    };
  },
};

describe.each(Object.entries(clients))('two clients of one deployment over %s', (_, connect) => {
  it(`with the same ids and progress tokens hear their own and only their own, ${ROUNDS} rounds`, async () => {
    server = await startConnections(chatty);
    const two = await Promise.all(['a', 'b'].map(async (name) => ({ name, client: await connect() })));
    await Promise.all(
      two.map(async ({ client }) => {
        await client.send(initialize());
        await client.until(1);
      }),
    );
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(two.map(({ name, client }) => play(client, `${name}/${round}`, 1 + 4 * round)));
    }
    expect(two.map(({ client }) => client.messages.length)).toEqual([1 + 4 * ROUNDS, 1 + 4 * ROUNDS]);
    expect(server.counts.leases).toBe(0);
  }, 60_000);
});

async function play(client: Client, label: string, before: number): Promise<void> {
  const params = { label, _meta: { progressToken: ID } };
  await client.send({ jsonrpc: '2.0', id: ID, method: 'tools/call', params });
  await client.until(before + 3);
  const question = client.messages[before + 2];
  await client.send({ jsonrpc: '2.0', id: question?.['id'], result: { label } });
  await client.until(before + 4);
  expect(client.messages.slice(before)).toMatchObject([
    { method: 'notifications/message', params: { data: label } },
    { method: 'notifications/progress', params: { progressToken: ID, message: label } },
    { method: 'elicitation/create', params: { message: label } },
    { id: ID, result: { answer: { label } } },
  ]);
}

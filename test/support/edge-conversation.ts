import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { expect } from 'vitest';
import { callText, newClient, textOf } from './client.js';
import type { Deployment } from './service.js';

const run = promisify(execFile);

type Message = Record<string, unknown>;

/** A client with nothing between the test and the wire, whatever its transport. */
interface WireClient {
  /** Everything that came. */
  readonly messages: Message[];
  send(message: object): unknown;
  /** Resolves when so many have come in all. */
  until(count: number): Promise<void>;
}

/** Every kind of traffic that a session has, with the fixture server and the official SDK's client. */
export async function converse(transport: Transport): Promise<void> {
  const client = newClient({ elicitation: {}, sampling: {} });
  const logs: unknown[] = [];
  client.setNotificationHandler(
    LoggingMessageNotificationSchema,
    ({ params }) => void logs.push(params.data),
  );
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
    action: 'accept',
    content: { answer: `to ${params.message}` },
  }));
  client.setRequestHandler(CreateMessageRequestSchema, () => ({
    model: 'none',
    role: 'assistant',
    content: { type: 'text', text: 'sampled' },
  }));
  await client.connect(transport);
  try {
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('echo');
    expect(await callText(client, 'echo', { text: 'ü🚀' })).toBe('ü🚀');
    const large = 'x'.repeat(1 << 20);
    expect(await callText(client, 'echo', { text: large })).toBe(large);
    await callText(client, 'log', { n: 2, label: 'l' });
    await expect.poll(() => logs).toEqual([1, 2].map((number) => ({ label: 'l', number })));
    expect(await reportsOf(client)).toEqual([1, 2, 3]);
    expect(JSON.parse(await callText(client, 'ask', { label: 'a' }))).toMatchObject({
      content: { answer: 'to question a' },
    });
    expect(JSON.parse(await callText(client, 'sample', { label: 's' }))).toMatchObject({
      content: { text: 'sampled' },
    });
    await cancelOne(client);
  } finally {
    await client.close();
  }
}

/** Apart, because the client drops a report that arrives together with its answer. */
async function reportsOf(client: Client): Promise<number[]> {
  const reports: number[] = [];
  const onprogress = ({ progress }: { progress: number }): void => void reports.push(progress);
  const call = { name: 'progress', arguments: { n: 3, label: 'p', gapMs: 100 } };
  const result = await client.callTool(call, CallToolResultSchema, { onprogress });
  expect(textOf(result)).toBe('p done');
  return reports;
}

async function cancelOne(client: Client): Promise<void> {
  const leaving = new AbortController();
  const slow = { name: 'slow', arguments: { ms: 60_000, label: 'long' } };
  const call = client.callTool(slow, undefined, { signal: leaving.signal });
  // The call is in flight once a later one has been answered.
  await callText(client, 'session_counter');
  leaving.abort();
  await expect(call).rejects.toThrow();
  await expect.poll(() => callText(client, 'cancellations')).toBe('["long"]');
}

/**
 * So many rounds of logs, progress and questions, of several clients at the same time, all under the same ids and
 * tokens: each hears exactly its own.
 */
export async function playRounds(clients: WireClient[], rounds: number): Promise<void> {
  await Promise.all(
    clients.map(async (client, index) => {
      await open(client);
      for (let round = 0; round < rounds; round++) await playRound(client, `client-${index}/${round}`);
    }),
  );
  // Whatever went astray would have come before the answer to this.
  for (const client of clients) {
    const before = client.messages.length;
    await client.send({ jsonrpc: '2.0', id: 'end', method: 'ping' });
    await client.until(before + 1);
    expect(client.messages.slice(1 + 8 * rounds)).toEqual([{ jsonrpc: '2.0', id: 'end', result: {} }]);
  }
}

async function open(client: WireClient): Promise<void> {
  const clientInfo = { name: 'twin', version: '1.0.0' };
  const params = { protocolVersion: '2025-06-18', capabilities: { elicitation: {} }, clientInfo };
  await client.send({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
  await client.until(1);
  await client.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
}

async function playRound(client: WireClient, label: string): Promise<void> {
  const before = client.messages.length;
  await call(client, 'log', { n: 2, label }, 3);
  await call(client, 'progress', { n: 2, label }, 3);
  await call(client, 'ask', { label }, 1);
  const question = client.messages.at(-1);
  const result = { action: 'accept', content: { answer: label } };
  await client.send({ jsonrpc: '2.0', id: question?.['id'], result });
  await client.until(before + 8);
  expect(client.messages.slice(before)).toMatchObject([
    log(label, 1),
    log(label, 2),
    answer(`${label} logged`),
    report(label, 1),
    report(label, 2),
    answer(`${label} done`),
    { method: 'elicitation/create', params: { message: `question ${label}` } },
    answer(expect.stringContaining(`"answer":"${label}"`)),
  ]);
}

function log(label: string, number: number): Message {
  return { method: 'notifications/message', params: { data: { label, number } } };
}

function report(label: string, progress: number): Message {
  const params = { progressToken: 1, progress, message: `${label} ${progress}` };
  return { method: 'notifications/progress', params };
}

function answer(text: unknown): Message {
  return { id: 1, result: { content: [{ text }] } };
}

/** Call under the one id and token that everybody uses, and wait for so many messages. */
async function call(
  client: WireClient,
  name: string,
  args: Record<string, unknown>,
  messages: number,
): Promise<void> {
  const count = client.messages.length + messages;
  const params = { name, arguments: args, _meta: { progressToken: 1 } };
  await client.send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  await client.until(count);
}

/** Server processes that run in a deployment's sandbox, spares included; none where it has no sandbox now. */
export async function serverProcesses({ id }: Deployment): Promise<number> {
  const only = ['--filter', `name=^mcpr-${id}$`, '--no-trunc', '--quiet'];
  const { stdout: containerId } = await run('docker', ['ps', ...only]);
  if (containerId === '') return 0;
  const { stdout } = await run('docker', ['inspect', '--format', '{{json .ExecIDs}}', containerId.trim()]);
  return (JSON.parse(stdout) as string[] | null)?.length ?? 0;
}

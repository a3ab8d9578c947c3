import { vi } from 'vitest';
import { able } from './channel-user.js';
import type { ScriptedChannel } from './scripted-channel.js';
import type { ReadMessage } from './scripted-process.js';
import { modernClient } from './translated-handshake.js';

/** The result of a call whose client is asked something. */
export interface InputRequired {
  resultType: string;
  inputRequests: Record<string, { method: string; params?: object }>;
  requestState: string;
}

/** A client that can be asked everything. */
export const ABLE = { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} };
export const FORM = { message: 'Name?', requestedSchema: { type: 'object', properties: {} } };
export const CALL = { name: 't', arguments: { a: 1 } };

/** A request of the server to its client. */
export function push(id: unknown, method = 'elicitation/create', params: object = FORM): object {
  return { jsonrpc: '2.0', id, method, params };
}

/** A client that made a call, and the id of the call at the server. Needs fake timers. */
export function calling(capabilities: object = ABLE, method = 'tools/call') {
  let now = 1_000_000;
  const both = modernClient(undefined, { options: { now: () => now } });
  const { server, client } = both;
  const id = client.request(method, CALL, able(capabilities));
  const upstream = server.toldOf(method)[0]?.id;
  const finish = (result: object = { content: [] }): void =>
    server.say({ jsonrpc: '2.0', id: upstream, result });
  const pass = (ms: number): void => {
    now += ms;
    vi.advanceTimersByTime(ms);
  };
  /** What the client was asked in answer to this request. */
  const asked = (request = id): InputRequired => {
    pass(100);
    const answer = client.messages.find((message) => message.id === request);
    return answer?.result as InputRequired;
  };
  const retry = (state: string, inputResponses: unknown, params: object = CALL): number =>
    client.request(method, { ...params, requestState: state, inputResponses }, able(capabilities));
  const answerOf = (request: number): ReadMessage | undefined =>
    client.messages.find((message) => message.id === request);
  return { ...both, id, upstream, finish, pass, asked, retry, answerOf };
}

/** What the server was answered. */
export function answersAt(server: ScriptedChannel): ReadMessage[] {
  return server.told.filter(({ method }) => method === undefined);
}

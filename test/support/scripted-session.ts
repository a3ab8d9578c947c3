import { StdioChannel } from '../../src/mcp/channels/stdio-channel.js';
import { parseMessage } from '../../src/mcp/jsonrpc/envelope.js';
import { Session } from '../../src/mcp/sessions/session.js';
import { RecordingOutlet } from './recording-outlet.js';
import { ScriptedProcess } from './scripted-process.js';
import { RecordingHolder } from './session-holder.js';

/** A session over a scripted process, and its client's verbs. */
export function startSession(process = new ScriptedProcess()) {
  const ambient = new RecordingOutlet(false);
  const holder = new RecordingHolder(ambient);
  const session = new Session(new StdioChannel(process, 1 << 20), holder);
  const send = (text: string, outlet = new RecordingOutlet()): RecordingOutlet => {
    void session.fromClient(parseMessage(text), outlet);
    return outlet;
  };
  const call = (
    rawId: string,
    rest = '"method":"tools/call"',
    outlet = new RecordingOutlet(),
  ): RecordingOutlet => send(`{"jsonrpc":"2.0","id":${rawId},${rest}}`, outlet);
  const answer = (rawId: string, rest = '"result":{}'): RecordingOutlet =>
    send(`{"jsonrpc":"2.0","id":${rawId},${rest}}`);
  return { process, ambient, closings: holder.closings, holder, session, send, call, answer };
}

/** An answer of the server. */
export function result(id: unknown, value: unknown = {}): object {
  return { jsonrpc: '2.0', id, result: value };
}

/** The rest of a request that asks for progress under this token. */
export function withToken(rawToken: string): string {
  return `"method":"tools/call","params":{"_meta":{"progressToken":${rawToken}}}`;
}

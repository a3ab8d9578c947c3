import { describe, expect, it } from 'vitest';
import { mcpServer, type Script, ScriptedProcess } from '../../../test/support/scripted-process.js';
import { StdioChannel } from '../channels/stdio-channel.js';
import { shakeHands } from './handshake.js';

function shake(script: Script, signal = new AbortController().signal) {
  const process = new ScriptedProcess(script);
  const channel = new StdioChannel(process, 1 << 20);
  return { process, channel, done: shakeHands(channel, { name: 'spec', version: '1' }, signal) };
}

describe('shakeHands', () => {
  it('initializes a server, says so, and leaves the channel open', async () => {
    const { process, channel, done } = shake(mcpServer());
    await done;
    expect(process.read.map((message) => message.method)).toEqual([
      'initialize',
      'notifications/initialized',
    ]);
    expect(channel.whyClosed).toBeUndefined();
  });

  it('answers a ping and declines everything else the server asks before its answer', async () => {
    const { process, done } = shake((message, process) => {
      if (message.method !== 'initialize') return;
      process.say(
        { jsonrpc: '2.0', id: 'p', method: 'ping' },
        { jsonrpc: '2.0', id: 2, method: 'roots/list' },
      );
      mcpServer()(message, process);
    });
    await done;
    expect(process.read.slice(1, 3)).toMatchObject([
      { id: 'p', result: {} },
      { id: 2, error: { code: -32601 } },
    ]);
  });

  it.each([
    [{ error: { code: -32600, message: 'no thanks' } }, 'It refused initialize: no thanks'],
    [{ error: 5 }, 'It refused initialize: it did not say why'],
    [{ result: {} }, 'names no protocol version'],
    [{ result: null }, 'names no protocol version'],
  ])('answered with %j fails as server_invalid', async (rest, detail) => {
    const { done } = shake(({ id }, process) => process.say({ jsonrpc: '2.0', id, ...rest }));
    await expect(done).rejects.toMatchObject({
      code: 'server_invalid',
      detail: expect.stringContaining(detail) as string,
    });
  });

  it('with a server that exits fails as server_exited, with its last words', async () => {
    const { done } = shake((_, process) => {
      process.complain('no key');
      process.exit(1);
    });
    await expect(done).rejects.toMatchObject({
      code: 'server_exited',
      detail: 'The server exited with code 1. It said:\nno key',
    });
  });

  it('with a server that says nothing fails as start_timeout when the signal comes', async () => {
    const deadline = new AbortController();
    const { process, done } = shake(() => undefined, deadline.signal);
    process.complain('booting');
    deadline.abort();
    await expect(done).rejects.toMatchObject({
      code: 'start_timeout',
      detail: expect.stringContaining('booting') as string,
    });
  });
});

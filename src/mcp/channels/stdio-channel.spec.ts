import { describe, expect, it } from 'vitest';
import { ScriptedProcess } from '../../../test/support/scripted-process.js';
import type { ChannelClosed } from './channel.js';
import { StdioChannel } from './stdio-channel.js';

const MAX = 1000;

function note(n: number): { jsonrpc: '2.0'; method: string } {
  return { jsonrpc: '2.0', method: `n${n}` };
}

/** A channel that keeps what comes; with `slowly`, each delivery waits until `read` is called. */
function listen(process: ScriptedProcess, slowly = false) {
  const channel = new StdioChannel(process, MAX);
  const heard: string[] = [];
  const closings: ChannelClosed[] = [];
  const readers: (() => void)[] = [];
  const open = (): void =>
    channel.open({
      message: (message) => {
        heard.push(message.kind === 'response' ? `answer ${message.rawId}` : message.method);
        return slowly ? new Promise((resolve) => readers.push(resolve)) : undefined;
      },
      closed: (why) => closings.push(why),
    });
  const read = async (): Promise<void> => {
    readers.shift()?.();
    // One turn for the promise, one for what waits for it.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { channel, heard, closings, open, read };
}

describe('StdioChannel', () => {
  it('delivers messages in order, however they are cut', () => {
    const process = new ScriptedProcess();
    const { heard, open } = listen(process);
    open();
    const bytes = Buffer.from([1, 2, 3].map((n) => `${JSON.stringify(note(n))}\r\n`).join('\n'));
    for (const byte of bytes) process.sayBytes(Buffer.from([byte]));
    expect(heard).toEqual(['n1', 'n2', 'n3']);
  });

  it('reads no more of a process while a delivery waits, and goes on afterwards', async () => {
    const process = new ScriptedProcess();
    const { heard, open, read } = listen(process, true);
    open();
    for (let n = 0; n < 50; n++) process.say(note(2 * n), note(2 * n + 1));
    expect(heard).toEqual(['n0']);
    expect(process.waiting).toBe(49);
    await read();
    expect(heard).toEqual(['n0', 'n1']);
    // The second line of the first chunk waits for its reader, so no further chunk was let in.
    expect(process.waiting).toBe(49);
    for (let n = 0; n < 100; n++) await read();
    expect(heard).toEqual(Array.from({ length: 100 }, (_, n) => `n${n}`));
    expect(process.paused).toBe(false);
  });

  it('makes senders wait while stdin is full', async () => {
    const process = new ScriptedProcess();
    const { channel, open } = listen(process);
    open();
    expect(channel.send('{"a":1}')).toBeUndefined();
    process.hasRoom = false;
    let waiting = 2;
    const sends = [channel.send('{"a":2}'), channel.send('{"a":3}')].map(async (sent) => {
      await sent;
      waiting--;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(waiting).toBe(2);
    process.drain();
    await Promise.all(sends);
    expect(process.lines).toEqual(['{"a":1}', '{"a":2}', '{"a":3}']);
    expect(channel.send('{"a":4}')).toBeUndefined();
  });

  it('hands a full stdin nothing more until it drains, so that what waits is not piled up there', async () => {
    const process = new ScriptedProcess();
    const { channel, open } = listen(process);
    open();
    process.hasRoom = false;
    const sends = [channel.send('{"a":1}'), channel.send('{"a":2}'), channel.send('{"a":3}')];
    expect(process.lines).toEqual(['{"a":1}']);
    process.drain();
    for (const send of sends) await send;
    expect(process.lines).toEqual(['{"a":1}', '{"a":2}', '{"a":3}']);
  });

  it('delivers the messages of a batch one by one, in order', () => {
    const process = new ScriptedProcess();
    const { heard, open } = listen(process);
    open();
    process.sayBytes(Buffer.from(`${JSON.stringify([note(1), note(2)])}\n${JSON.stringify(note(3))}\n`));
    expect(heard).toEqual(['n1', 'n2', 'n3']);
  });

  it('closes the one conversation in which a message cannot be handled', () => {
    const process = new ScriptedProcess();
    const channel = new StdioChannel(process, MAX);
    const closings: ChannelClosed[] = [];
    channel.open({
      message: () => {
        throw new Error('out of order');
      },
      closed: (why) => closings.push(why),
    });
    process.say(note(1));
    expect(closings).toMatchObject([
      { cause: 'violated', message: expect.stringContaining('out of order') as string },
    ]);
  });

  it('releases senders when the process exits', async () => {
    const process = new ScriptedProcess();
    const { channel, open } = listen(process);
    open();
    process.hasRoom = false;
    const sent = channel.send('{"a":1}');
    process.exit(1);
    await sent;
    expect(() => channel.send('{"a":2}')).toThrow('The server exited with code 1');
  });

  it('keeps what a spare said before it is opened, and holds it back meanwhile', () => {
    const process = new ScriptedProcess();
    const { heard, open } = listen(process);
    process.say(note(1), note(2));
    process.say(note(3));
    expect(process.paused).toBe(true);
    expect(process.waiting).toBe(1);
    open();
    expect(heard).toEqual(['n1', 'n2', 'n3']);
    expect(process.paused).toBe(false);
  });

  it('tells at once that a spare has exited, with its last words', () => {
    const process = new ScriptedProcess();
    const { channel, closings, open } = listen(process);
    process.complain('cannot find module x\n');
    process.exit(3);
    expect(channel.whyClosed?.cause).toBe('exited');
    open();
    expect(closings).toEqual([
      { cause: 'exited', message: 'The server exited with code 3. It said:\ncannot find module x' },
    ]);
  });

  it('delivers everything a process said before it exited, however slowly it is read', async () => {
    const process = new ScriptedProcess();
    const { channel, heard, closings, open, read } = listen(process, true);
    open();
    process.say(note(1), note(2), note(3));
    process.exit(0);
    for (let n = 0; n < 3; n++) {
      expect(channel.whyClosed).toBeUndefined();
      await read();
    }
    expect(heard).toEqual(['n1', 'n2', 'n3']);
    expect(closings.map((why) => why.message)).toEqual(['The server exited with code 0']);
  });

  it('ends also a process that exited by itself, once: its children may live', async () => {
    const process = new ScriptedProcess();
    const { channel, open } = listen(process);
    open();
    process.exit();
    expect(process.ends).toBe(1);
    await channel.close();
    expect(process.ends).toBe(1);
    expect(channel.whyClosed?.message).toBe('The server is gone');
  });

  it('ignores lines that are no message and keeps them as last words', () => {
    const process = new ScriptedProcess();
    const { heard, closings, open } = listen(process);
    open();
    process.say('Server listening...', '', '[]', '{"jsonrpc":"1.0"}', note(1));
    process.sayBytes(Buffer.from([0x22, 0xff, 0x22, 0x0a]));
    process.say(note(2));
    process.exit(1);
    expect(heard).toEqual(['n1', 'n2']);
    expect(closings[0]?.message).toContain('stdout: Server listening...');
  });

  it('ends a server that writes more than 1,000 lines in a row that are no message', () => {
    const process = new ScriptedProcess();
    const { channel, heard, open } = listen(process);
    open();
    const garbage = Array.from({ length: 1000 }, (_, n) => `log ${n}`);
    process.say(...garbage, note(1), ...garbage, note(2));
    expect(heard).toEqual(['n1', 'n2']);
    process.say(...garbage, 'one more', note(3));
    expect(heard).toEqual(['n1', 'n2']);
    expect(channel.whyClosed).toMatchObject({ cause: 'violated' });
    expect(process.ends).toBe(1);
  });

  it('delivers the messages before a line over the limit, then ends the server with the reason', async () => {
    const process = new ScriptedProcess();
    const { channel, heard, closings, open, read } = listen(process, true);
    open();
    process.sayBytes(
      Buffer.from(`${JSON.stringify(note(1))}\n${JSON.stringify(note(2))}\n${'x'.repeat(MAX + 1)}`),
    );
    process.say(note(3));
    expect(process.ends).toBe(1);
    await read();
    await read();
    process.exit(0);
    expect(heard).toEqual(['n1', 'n2']);
    expect(closings).toEqual([
      { cause: 'violated', message: expect.stringContaining(`more than ${MAX} bytes`) as string },
    ]);
    expect(channel.whyClosed).toEqual(closings[0]);
  });

  it('delivers nothing after it was closed, lets the process run dry and says once why', async () => {
    const process = new ScriptedProcess();
    const { channel, heard, closings, open, read } = listen(process, true);
    open();
    process.say(note(1), note(2));
    process.say(note(3));
    await channel.close();
    expect(process.paused).toBe(false);
    expect(process.waiting).toBe(0);
    await read();
    process.exit(0);
    await channel.close('late');
    expect(heard).toEqual(['n1']);
    expect(closings).toEqual([{ cause: 'ended', message: 'The session has ended' }]);
    expect(process.ends).toBe(1);
  });

  it('says what a server did wrong when it is closed for a fault', async () => {
    const process = new ScriptedProcess();
    const { channel, closings, open } = listen(process);
    open();
    process.complain('thinking');
    await channel.close('It did not answer');
    expect(closings).toEqual([{ cause: 'violated', message: 'It did not answer. It said:\nthinking' }]);
  });
});

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StdioChannel } from '../channels/stdio-channel.js';
import { RecordingOutlet } from '../../../test/support/recording-outlet.js';
import { ScriptedProcess } from '../../../test/support/scripted-process.js';
import { RecordingHolder } from '../../../test/support/session-holder.js';
import { SharedClient, startShared } from '../../../test/support/shared-clients.js';
import { parseMessage } from '../jsonrpc/envelope.js';
import { Session } from '../sessions/session.js';
import { SharedServer } from './shared-server.js';

describe('a session that leaves', () => {
  it('has its requests cancelled, hears no late answers, and costs the others nothing', () => {
    const { process, join, server } = startShared();
    const [one, two] = [join(), join()];
    void one.call(1);
    void one.call(2);
    void two.call(1);
    const [first, second, third] = process.read.slice(-3).map(({ id }) => id);
    const before = process.lines.length;
    void one.channel.close();
    expect(process.read.slice(before).map(({ method, params }) => [method, params?.['requestId']])).toEqual([
      ['notifications/cancelled', first],
      ['notifications/cancelled', second],
    ]);
    expect(one.closings).toEqual([{ cause: 'ended', message: 'The session has ended' }]);
    expect(one.channel.whyClosed).toEqual(one.closings[0]);
    expect(() => one.call(3)).toThrow('The session has ended');
    for (const id of [first, second, third]) process.say({ jsonrpc: '2.0', id, result: {} });
    expect(one.heard).toEqual([]);
    expect(two.heard).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
    expect([server.size, process.ends]).toEqual([1, 0]);
  });

  it('is not kept in memory for what it had in flight, whether the server ever answers that or not', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const { join } = startShared();
    const leave = (): WeakRef<object> => {
      const client = join();
      void client.call(1);
      client.notify('notifications/cancelled', { requestId: 1 });
      void client.call(2);
      void client.channel.close();
      return new WeakRef(client.channel);
    };
    const left = leave();
    const isKept = (): boolean => {
      collectGarbage();
      return left.deref() !== undefined;
    };
    await expect.poll(isKept).toBe(false);
  });

  it('may be told why; leaving twice is leaving once', async () => {
    const { join } = startShared();
    const one = join();
    await one.channel.close('The server did not answer');
    await one.channel.close();
    expect(one.closings).toEqual([{ cause: 'violated', message: 'The server did not answer' }]);
  });

  it('because it cannot handle a message is the only one that ends', async () => {
    const { process, join, server } = startShared();
    const [one, two, three] = [join(), join(), server.open()];
    one.channel.open({
      message: () => {
        throw new Error('no');
      },
      closed: (why) => one.closings.push(why),
    });
    const four = new SharedClient(server);
    four.initialize();
    four.notify('notifications/initialized');
    four.channel.open({
      message: () => Promise.reject(new Error('never')),
      closed: (why) => four.closings.push(why),
    });
    void three.close();
    process.say({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' });
    await expect.poll(() => four.closings.length).toBe(1);
    const because = 'A message of the server could not be handled: Error: ';
    expect(one.closings).toEqual([{ cause: 'violated', message: `${because}no` }]);
    expect(four.closings).toEqual([{ cause: 'violated', message: `${because}never` }]);
    expect(two.heard).toHaveLength(1);
    expect(server.whyClosed).toBeUndefined();
  });
});

describe('a process that exits', () => {
  it('in the middle of calls ends every session with the reason, behind what it said before', () => {
    const { process, join, server, closings } = startShared();
    const [one, two] = [join(), join()];
    void one.call(1);
    process.say({ jsonrpc: '2.0', id: process.read.at(-1)?.id, result: {} });
    void one.call(2);
    void two.call(1);
    process.exit(7);
    const why = { cause: 'exited', message: 'The server exited with code 7' };
    expect([one.closings, two.closings, closings]).toEqual([[why], [why], [why]]);
    expect(one.heard).toHaveLength(1);
    expect(server.whyClosed).toEqual(why);
    expect(server.size).toBe(0);
  });

  it('is what the requests of a session in flight are answered with', () => {
    const { process, server } = startShared();
    const sessions = [1, 2].map(() => {
      const outlet = new RecordingOutlet();
      const session = new Session(server.open(), new RecordingHolder(new RecordingOutlet()));
      const send = (text: string) => session.fromClient(parseMessage(text), outlet);
      void send('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}');
      void send('{"jsonrpc":"2.0","id":1,"method":"tools/call"}');
      return { session, outlet };
    });
    process.exit(1);
    for (const { session, outlet } of sessions) {
      expect(session.protocolVersion).toBe('2025-11-25');
      expect(outlet.messages).toMatchObject([
        { id: 1, result: {} },
        { id: 1, error: { message: 'The server exited with code 1', data: { code: 'server_exited' } } },
      ]);
    }
  });

  it('lets a slow session have what came before, and takes nothing from it any more', async () => {
    const { process, join } = startShared();
    const one = join();
    one.slow = true;
    process.say(
      ...['a', 'b'].map((what) => ({ jsonrpc: '2.0', method: `notifications/${what}/list_changed` })),
    );
    process.exit(0);
    expect(one.closings).toEqual([]);
    const before = process.lines.length;
    void one.call(1);
    expect(process.lines).toHaveLength(before);
    one.takes.shift()?.();
    await expect.poll(() => one.takes.length).toBe(1);
    one.takes.shift()?.();
    await expect.poll(() => one.closings.length).toBe(1);
    expect(one.methods()).toEqual(['notifications/a/list_changed', 'notifications/b/list_changed']);
  });

  it('leaves sessions that are opened later closed from the start', () => {
    const process = new ScriptedProcess();
    const closings: string[] = [];
    process.exit(2);
    const channel = new StdioChannel(process, 1000);
    const options = { clientInfo: { name: 'mux', version: '1' }, handshakeMs: 1000, idleMs: 1000 };
    const server = new SharedServer(channel, options, ({ message }) => closings.push(message));
    expect(closings).toEqual(['The server exited with code 2']);
    const late = server.open();
    expect(late.whyClosed).toEqual(server.whyClosed);
    late.open({ message: () => undefined, closed: ({ message }) => closings.push(message) });
    expect(closings).toHaveLength(2);
  });

  it('tells what it wrote to stderr as long as that can only be about the session, and always to its owner', () => {
    const { process, join, closings } = startShared();
    const one = join();
    process.complain('secret of one\n');
    expect(one.channel.lastWords).toBe('secret of one');
    const two = join();
    expect([one.channel.lastWords, two.channel.lastWords]).toEqual(['', '']);
    process.exit(1);
    expect(two.closings).toEqual([{ cause: 'exited', message: 'The server exited with code 1' }]);
    expect(closings).toEqual([
      { cause: 'exited', message: 'The server exited with code 1. It said:\nsecret of one' },
    ]);
  });
});

describe('a process without sessions', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('stays for its idle time, which a session ends, and is ended then', () => {
    const { process, join, closings } = startShared(undefined, { idleMs: 1000 });
    vi.advanceTimersByTime(999);
    const [one, two] = [join(), join()];
    vi.advanceTimersByTime(5000);
    void one.channel.close();
    vi.advanceTimersByTime(5000);
    void two.channel.close();
    vi.advanceTimersByTime(999);
    expect(process.ends).toBe(0);
    vi.advanceTimersByTime(1);
    expect(process.ends).toBe(1);
    expect(closings).toEqual([{ cause: 'ended', message: 'The session has ended' }]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is ended when none ever comes', () => {
    const { process } = startShared(undefined, { idleMs: 1000 });
    vi.advanceTimersByTime(1000);
    expect(process.ends).toBe(1);
  });
});

describe('close', () => {
  it('ends the process and every session, with the fault where there is one', async () => {
    const { process, join, server, closings } = startShared();
    const [one, two] = [join(), join()];
    await server.close('The deployment is broken');
    const why = { cause: 'violated', message: 'The deployment is broken' };
    expect([one.closings, two.closings, closings]).toEqual([[why], [why], [why]]);
    await server.close();
    expect([process.ends, closings.length]).toEqual([1, 1]);
  });
});

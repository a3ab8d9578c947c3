import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ScriptedChannel } from '../../test/support/scripted-channel.js';
import type { ChannelClosed } from '../mcp/channels/channel.js';
import type { Envelope } from '../mcp/jsonrpc/envelope.js';
import { WatchedChannel } from './watched-channel.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});

afterEach(() => {
  vi.useRealTimers();
});

function start() {
  const inner = new ScriptedChannel();
  const worked = vi.fn<() => void>();
  const crashed = vi.fn<(why: ChannelClosed) => void>();
  const watched = new WatchedChannel(inner, { worked, crashed });
  const heard: Envelope[] = [];
  const closings: ChannelClosed[] = [];
  watched.open({
    message: (message) => {
      heard.push(message);
      return undefined;
    },
    closed: (why) => closings.push(why),
  });
  return { inner, watched, worked, crashed, heard, closings };
}

function answer(id: number): object {
  return { jsonrpc: '2.0', id, result: {} };
}

describe('a watched channel', () => {
  it('is the channel that it watches', async () => {
    const { inner, watched, heard, closings } = start();
    inner.lastWords = 'bye';
    void watched.send('{"jsonrpc":"2.0","method":"x"}');
    inner.say(answer(1), { jsonrpc: '2.0', method: 'y' });
    expect(inner.texts).toEqual(['{"jsonrpc":"2.0","method":"x"}']);
    expect(heard.map(({ kind }) => kind)).toEqual(['response', 'notification']);
    expect([watched.whyClosed, watched.lastWords]).toEqual([undefined, 'bye']);
    await watched.close('garbage');
    expect(watched.whyClosed).toEqual({ cause: 'violated', message: 'garbage' });
    expect(closings).toEqual([watched.whyClosed]);
  });

  it('tells that its server works at each answer but the first, which is the handshake', () => {
    const { inner, worked } = start();
    inner.say(answer(1), { jsonrpc: '2.0', method: 'x' }, { jsonrpc: '2.0', id: 1, method: 'ping' });
    expect(worked).not.toHaveBeenCalled();
    inner.say(answer(2), answer(3));
    inner.exit();
    expect(worked).toHaveBeenCalledTimes(2);
  });

  it('takes for work nothing that a session says again to each new process', () => {
    const { inner, watched, worked } = start();
    for (const method of ['initialize', 'logging/setLevel', 'resources/subscribe']) {
      void watched.send(`{"jsonrpc":"2.0","id":1,"method":"${method}","params":{}}`);
    }
    inner.say(answer(1), answer(2), answer(3));
    expect(worked).not.toHaveBeenCalled();
    void watched.send('{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"text":"initialize"}}');
    inner.say(answer(4));
    expect(worked).toHaveBeenCalledOnce();
  });

  it('tells that a server worked which ran for 10 s, though it answered nothing', () => {
    for (const [ms, times] of [
      [9999, 0],
      [10_000, 1],
    ] as const) {
      const { inner, worked } = start();
      vi.advanceTimersByTime(ms);
      inner.exit();
      expect(worked).toHaveBeenCalledTimes(times);
    }
  });

  it.each([
    ['exits', (inner: ScriptedChannel) => inner.exit('boom'), [{ cause: 'exited', message: 'boom' }]],
    [
      'breaks the limits',
      (inner: ScriptedChannel) => void inner.close('loud'),
      [{ cause: 'violated', message: 'loud' }],
    ],
    ['is ended by us', (inner: ScriptedChannel) => void inner.close(), []],
  ])('of a server that %s tells a crash only where it is one', (_, end, crashes) => {
    const { inner, crashed, closings } = start();
    end(inner);
    expect(crashed.mock.calls).toEqual(crashes.map((why) => [why]));
    expect(closings).toHaveLength(1);
  });
});

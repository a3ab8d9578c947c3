import { describe, expect, it } from 'vitest';
import { durableSession, sleepingSession, willing } from '../../../test/support/durable-session.js';
import { Gate } from '../../../test/support/gate.js';

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('the sleep of a session', () => {
  it('ends the process, and its end ends nothing else', async () => {
    const client = durableSession();
    client.shakeHands();
    await client.session.sleep('idle');
    await client.session.sleep('idle');
    expect(client.channel.closes).toBe(1);
    expect(client.holder.losses).toEqual([{ cause: 'stopped', message: 'idle' }]);
    client.channels[0]?.say({ jsonrpc: '2.0', method: 'notifications/message' });
    expect(client.ambient.messages).toEqual([]);
    expect((await client.ask(1)).messages).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
  });

  it('while the next process is waited for leaves that alone: it may be on its way because another stops', async () => {
    const { client, gate } = sleepingSession();
    const waiting = client.ask(1);
    await gate.reached;
    await client.session.sleep('paused');
    gate.open();
    expect((await waiting).messages).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
    expect(client.channels.map(({ closes }) => closes)).toEqual([0, 0]);
    expect(client.holder.losses).toHaveLength(1);
  });

  it('while the next process shakes hands ends that one, and a request behind it gets another', async () => {
    const client = durableSession({
      script: (message, channel) => {
        if (channel !== client.channels[1]) willing(message, channel);
      },
    });
    client.shakeHands();
    client.channel.exit();
    const told = expect(client.ask(1)).rejects.toMatchObject({ code: 'server_stopped' });
    await expect.poll(() => client.channel.texts.length).toBe(1);
    const sleeping = client.session.sleep('paused');
    const behind = client.ask(2);
    await told;
    await sleeping;
    expect((await behind).messages).toEqual([{ jsonrpc: '2.0', id: 2, result: {} }]);
    expect(client.channels.map(({ closes }) => closes)).toEqual([0, 1, 0]);
    expect(client.session.isAwake).toBe(true);
  });
});

describe('the end of a session', () => {
  it('while the next process is waited for tells the waiters, stops the waiting, and leaves no process', async () => {
    const gate = new Gate();
    let stopped: unknown;
    const client = durableSession({
      reopen: async (open, signal) => {
        signal.addEventListener('abort', () => (stopped = signal.reason));
        await gate.wait();
        return open();
      },
    });
    client.shakeHands();
    client.channel.exit();
    const waiting = Promise.allSettled([client.ask(1), client.ask(2)]);
    await gate.reached;
    let isOver = false;
    const closing = client.session.close().then(() => (isOver = true));
    for (const told of await waiting) {
      expect(told).toMatchObject({ status: 'rejected', reason: { code: 'session_ended' } });
    }
    expect(stopped).toMatchObject({ code: 'session_ended' });
    await settled();
    expect(isOver).toBe(false);
    gate.open();
    await closing;
    expect(client.channels.map(({ closes, texts }) => [closes, texts.length])).toEqual([
      [0, 2],
      [1, 0],
    ]);
    expect([client.holder.losses.length, client.holder.closings.length]).toEqual([1, 1]);
    expect(client.session.inFlight).toBe(0);
  });

  it('while the next process shakes hands ends it at once', async () => {
    const client = durableSession({
      script: (message, channel) => {
        if (channel === client.channels[0]) willing(message, channel);
      },
    });
    client.shakeHands();
    client.channel.exit();
    const told = expect(client.ask(1)).rejects.toMatchObject({ code: 'session_ended' });
    await expect.poll(() => client.channel.texts.length).toBe(1);
    await Promise.all([client.session.close(), client.session.close()]);
    await told;
    expect(client.channel.closes).toBe(1);
    expect(client.holder.closings).toEqual([{ cause: 'ended', message: 'The session has ended' }]);
  });

  it('is for good: what comes behind it is told, and wakes nobody', async () => {
    const client = durableSession();
    client.shakeHands();
    await client.session.close();
    expect((await client.ask(1)).messages).toMatchObject([
      { id: 1, error: { data: { code: 'session_ended' } } },
    ]);
    await client.session.sleep('idle');
    expect(client.holder.reopened).toBe(0);
    expect([client.holder.losses.length, client.holder.closings.length]).toEqual([0, 1]);
  });
});

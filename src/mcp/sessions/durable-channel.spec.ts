import { describe, expect, it } from 'vitest';
import { durableSession, sleepingSession, willing } from '../../../test/support/durable-session.js';
import { handshakeServer } from '../../../test/support/scripted-channel.js';
import { AppError } from '../../errors/app-error.js';

const silent = handshakeServer({});

function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('the loss of a process', () => {
  it('answers what is in flight at once with an error, tells its holder once, and ends nothing', () => {
    const client = durableSession({ script: silent });
    client.shakeHands();
    const outlets = [client.call(1), client.call('b')];
    client.channel.exit('boom');
    expect(outlets.map(({ messages }) => messages)).toMatchObject([
      [{ id: 1, error: { message: 'boom', data: { code: 'server_exited' } } }],
      [{ id: 'b', error: { message: 'boom', data: { code: 'server_exited' } } }],
    ]);
    expect(client.holder.losses).toEqual([{ cause: 'exited', message: 'boom' }]);
    expect(client.holder.closings).toEqual([]);
    expect([client.session.inFlight, client.session.isAwake, client.session.whyClosed]).toEqual([
      0,
      false,
      undefined,
    ]);
  });

  it('is told by its cause', async () => {
    const client = durableSession({ script: silent });
    client.shakeHands();
    for (const [end, code] of [
      [() => client.channel.close('garbage'), 'server_invalid'],
      [() => client.session.sleep('paused'), 'server_stopped'],
    ] as const) {
      const outlet = await client.ask(1);
      await end();
      expect(outlet.messages).toMatchObject([{ id: 1, error: { data: { code } } }]);
    }
    expect(client.channel.closes).toBe(1);
  });

  it('before the handshake is over is the end of the session', async () => {
    const client = durableSession({ script: () => undefined });
    const outlet = client.call(0, 'initialize', { protocolVersion: '2025-11-25' });
    client.channel.exit();
    expect(outlet.messages).toMatchObject([{ id: 0, error: { data: { code: 'server_exited' } } }]);
    expect([client.holder.losses.length, client.holder.closings.length]).toEqual([0, 1]);
    expect(client.session.ready(new AbortController().signal)).toBeUndefined();
    expect((await client.ask(1)).messages).toMatchObject([{ id: 1, error: {} }]);
    expect(client.holder.reopened).toBe(0);
  });

  it('cancels what the server had asked, and an answer that comes later goes nowhere', async () => {
    const client = durableSession({ script: silent });
    client.shakeHands();
    client.channel.say({ jsonrpc: '2.0', id: 'q', method: 'elicitation/create' });
    const [question] = client.ambient.messages;
    client.channel.exit('boom');
    expect(client.ambient.messages[1]).toEqual({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: question?.['id'], reason: 'boom' },
    });
    await client.ask(1);
    client.channel.say({ jsonrpc: '2.0', id: 'q', method: 'elicitation/create' });
    const before = client.channel.texts.length;
    client.tell({ jsonrpc: '2.0', id: question?.['id'], result: { action: 'accept' } });
    expect(client.channel.texts).toHaveLength(before);
    expect(client.channels[0]?.told.some(({ result }) => result !== undefined)).toBe(false);
  });

  it('cancels a question behind it where the client will read both later', () => {
    const client = durableSession({ script: silent });
    client.shakeHands();
    client.ambient.open = false;
    client.channel.say({ jsonrpc: '2.0', id: 'q', method: 'elicitation/create' });
    client.channel.exit();
    expect(client.ambient.messages.map(({ method }) => method)).toEqual([
      'elicitation/create',
      'notifications/cancelled',
    ]);
  });

  it('is not undone by what is no request', async () => {
    const { client } = sleepingSession();
    client.tell({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' });
    client.tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    client.tell({ jsonrpc: '2.0', id: 1, result: {} });
    await settled();
    expect(client.holder.reopened).toBe(0);
    expect(client.channels).toHaveLength(1);
  });

  it('makes no difference to requests of a later life: the ids of its questions are new', async () => {
    const known = {
      initialize: '{}',
      protocolVersion: '2025-11-25',
      logLevel: undefined,
      subscriptions: [],
    };
    const first = durableSession({ script: silent });
    first.shakeHands();
    const second = durableSession({ known, script: willing });
    await second.ask(1);
    for (const client of [first, second]) {
      client.channel.say({ jsonrpc: '2.0', id: 'q', method: 'roots/list' });
    }
    const [early, late] = [first, second].map(({ ambient }) => Number(ambient.messages[0]?.['id']));
    expect(late).toBeGreaterThan((early ?? 0) + 1_000_000);
  });
});

describe('a wake', () => {
  it('is one for many requests at once, which are answered in order', async () => {
    const { client, gate } = sleepingSession();
    const answered: number[] = [];
    const asked = Array.from({ length: 100 }, async (_, n) => {
      const { messages } = await client.ask(n);
      answered.push(n);
      return messages;
    });
    await gate.reached;
    expect(client.session.inFlight).toBe(100);
    gate.open();
    expect(await Promise.all(asked)).toEqual(asked.map((_, n) => [{ jsonrpc: '2.0', id: n, result: {} }]));
    expect(answered).toEqual(asked.map((_, n) => n));
    expect([client.holder.reopened, client.channels.length]).toEqual([1, 2]);
    expect(client.channel.toldOf('tools/call')).toHaveLength(100);
    expect(client.session.inFlight).toBe(0);
  });

  it('goes on for others when a client that waits leaves, and also for nobody', async () => {
    const { client, gate } = sleepingSession();
    const leaver = new AbortController();
    const left = client.ask(1, 'tools/call', {}, leaver.signal);
    const stayed = client.ask(2);
    await gate.reached;
    leaver.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    expect(client.session.inFlight).toBe(1);
    gate.open();
    expect((await stayed).messages).toEqual([{ jsonrpc: '2.0', id: 2, result: {} }]);
    expect(client.channel.toldOf('tools/call')).toHaveLength(1);

    client.channel.exit();
    const gone = new AbortController();
    const alone = client.ask(3, 'tools/call', {}, gone.signal);
    gone.abort(new Error('left'));
    await expect(alone).rejects.toThrow('left');
    await expect.poll(() => client.session.isAwake).toBe(true);
    expect([client.session.inFlight, client.holder.reopened]).toEqual([0, 2]);
  });

  it('that is only to hear what the process tells is given up when it is told to stop', async () => {
    const { client, gate } = sleepingSession();
    const listening = client.session.rejoin();
    await gate.reached;
    await client.session.sleep('paused');
    await expect(listening).rejects.toMatchObject({ code: 'server_stopped' });
    expect(client.holder.stops.map((signal) => signal.aborted)).toEqual([true]);
    // Whoever holds it gives its place back.
    expect(client.holder.losses.slice(1)).toEqual([{ cause: 'stopped', message: 'paused' }]);
    gate.open();
    await expect.poll(() => client.channel.closes).toBe(1);
    expect(client.session.isAwake).toBe(false);
  });

  it('that is to hear it goes on where a request has come for it', async () => {
    const { client, gate } = sleepingSession();
    const listening = client.session.rejoin();
    const asked = client.ask(1);
    await gate.reached;
    await client.session.sleep('what the new process is part of stops');
    gate.open();
    await listening;
    expect((await asked).messages).toEqual([{ jsonrpc: '2.0', id: 1, result: {} }]);
    expect(client.holder.reopened).toBe(1);
  });

  it('that fails tells every waiter and its holder once, and the next request tries again', async () => {
    let fails = true;
    const client = durableSession({
      reopen: async (open) => {
        await settled();
        if (fails)
          throw new AppError('deployment_not_ready', { detail: 'still pulling', retryAfterSeconds: 2 });
        return open();
      },
    });
    client.shakeHands();
    client.channel.exit();
    const all = await Promise.allSettled([client.ask(1), client.ask(2), client.ask(3)]);
    expect(all).toMatchObject(
      all.map(() => ({ status: 'rejected', reason: { code: 'deployment_not_ready', retryAfterSeconds: 2 } })),
    );
    expect(client.holder.reopened).toBe(1);
    expect(client.holder.losses.slice(1)).toEqual([{ cause: 'stopped', message: 'still pulling' }]);
    fails = false;
    expect((await client.ask(4)).messages).toEqual([{ jsonrpc: '2.0', id: 4, result: {} }]);
    expect(client.holder.reopened).toBe(2);
  });
});

it('initialize of more than 64 KB is refused, and the server sees nothing of it', () => {
  const client = durableSession();
  const outlet = client.call('big', 'initialize', {
    protocolVersion: '2025-11-25',
    x: 'x'.repeat(64 * 1024),
  });
  expect(outlet.messages).toMatchObject([
    {
      id: 'big',
      error: { code: -32602, message: 'initialize must not have more than 65536 characters' },
    },
  ]);
  expect(client.channel.texts).toEqual([]);
  expect(client.session.protocolVersion).toBeUndefined();
});

import { describe, expect, it } from 'vitest';
import { type SharedClient, startShared } from '../../../test/support/shared-clients.js';

const LOG = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'x' } };
const ASK = { jsonrpc: '2.0', id: 'q', method: 'sampling/createMessage', params: { messages: [] } };

function start(options = {}) {
  const shared = startShared(undefined, options);
  const { process } = shared;
  /** Makes a call; the result is the id that the server sees. */
  const call = (client: SharedClient, id: number | string = 1, method = 'tools/call'): number => {
    void client.call(id, method);
    return (JSON.parse(process.lines.at(-1) ?? '{}') as { id: number }).id;
  };
  const done = (id: number): void => process.say({ jsonrpc: '2.0', id, result: {} });
  /** Whether the server's log message and its question reached the client, and how the question was refused. */
  const tried = (client: SharedClient): unknown => {
    client.news();
    const before = process.lines.length;
    process.say(LOG, ASK);
    const methods = client.news().map(({ method }) => method);
    return methods.length > 0 ? methods : process.read.slice(before).map(({ error }) => error?.code);
  };
  return { ...shared, call, done, tried };
}

function complete(elicitationId: string): object {
  return {
    jsonrpc: '2.0',
    method: 'notifications/elicitation/complete',
    params: { elicitationId },
  };
}

const GOT = ['notifications/message', 'sampling/createMessage'];
const REFUSED = [-32601];

describe('what the server says without naming a request', () => {
  it('goes to the session that alone has requests in flight, one or more', () => {
    const { join, call, tried } = start();
    const [one, two] = [join(), join()];
    call(one);
    expect(tried(one)).toEqual(GOT);
    call(one, 2);
    expect(tried(one)).toEqual(GOT);
    expect(two.heard).toEqual([]);
  });

  it('goes to nobody when nobody has one in flight, or two sessions have; a question is refused with -32601', () => {
    const { process, server, join, call, done, tried } = start();
    const [one, two] = [join(), join()];
    expect(tried(one)).toEqual(REFUSED);
    const first = call(one);
    const second = call(two);
    expect(tried(one)).toEqual(REFUSED);
    expect(process.read.at(-1)).toMatchObject({
      id: 'q',
      error: { message: expect.stringContaining('cannot be told which client') },
    });
    expect(two.heard).toEqual([]);
    done(first);
    expect(tried(two)).toEqual(GOT);
    done(second);
    expect(tried(two)).toEqual(REFUSED);
    expect(server.dropped).toBe(3);
  });

  it('may be about a cancelled request until that is answered, or a minute has passed', () => {
    let now = 0;
    const { join, call, done, tried } = start({ now: () => now });
    const [one, two] = [join(), join()];
    const cancelled = call(one);
    one.notify('notifications/cancelled', { requestId: 1 });
    call(two);
    expect(tried(two)).toEqual(REFUSED);
    done(cancelled);
    expect(tried(two)).toEqual(GOT);
    call(one);
    one.notify('notifications/cancelled', { requestId: 1 });
    now = 59_999;
    expect(tried(two)).toEqual(REFUSED);
    now = 60_000;
    expect(tried(two)).toEqual(GOT);
  });

  it('may be about one of more cancelled requests than are remembered', () => {
    let now = 0;
    const { process, join, call, tried } = start({ now: () => now });
    const one = join();
    const ids: number[] = [];
    for (let n = 0; n < 10_001; n++) {
      ids.push(call(one));
      one.notify('notifications/cancelled', { requestId: 1 });
    }
    process.sayBytes(Buffer.from(ids.map((id) => `{"jsonrpc":"2.0","id":${id},"result":{}}\n`).join('')));
    const two = join();
    call(two);
    expect(tried(two)).toEqual(REFUSED);
    now = 60_000;
    expect(tried(two)).toEqual(GOT);
  });

  it('may be about what a session had in flight that has left, and then nobody gets it', () => {
    const { join, call, done, tried } = start();
    const [one, two] = [join(), join()];
    const left = call(one);
    void one.channel.close();
    expect(tried(two)).toEqual(REFUSED);
    call(two);
    expect(tried(two)).toEqual(REFUSED);
    done(left);
    expect(tried(two)).toEqual(GOT);
  });

  it('may be about a request of ours', () => {
    const { process, join, call, done, tried } = start();
    const [one, two] = [join(), join()];
    void one.call(1, 'resources/subscribe', { uri: 'x:y' });
    const own = process.read.at(-1)?.id as number;
    call(two);
    expect(tried(two)).toEqual(REFUSED);
    done(own);
    expect(tried(two)).toEqual(GOT);
  });

  it('is not about a ping', () => {
    const { join, call, tried } = start();
    const [one, two] = [join(), join()];
    call(one, 1, 'ping');
    expect(tried(one)).toEqual(REFUSED);
    call(two);
    expect(tried(two)).toEqual(GOT);
  });
});

describe('a question of the server', () => {
  it.each([
    [{}, 'sampling/createMessage', {}, 'sampling'],
    [{ sampling: {} }, 'sampling/createMessage', { tools: [] }, 'sampling with tools'],
    [{ sampling: {} }, 'elicitation/create', {}, 'elicitation by form'],
    [{ elicitation: {} }, 'elicitation/create', { mode: 'url', url: 'x:' }, 'elicitation by URL'],
    [{ elicitation: { url: {} } }, 'elicitation/create', {}, 'elicitation by form'],
  ])(
    'is refused when the client, that has %j, cannot be asked it (%s %j)',
    (capabilities, method, params, name) => {
      const { process, join, call } = start();
      const client = join(capabilities);
      call(client);
      process.say({ jsonrpc: '2.0', id: 1, method, params });
      expect(process.read.at(-1)).toEqual({
        jsonrpc: '2.0',
        id: 1,
        error: { code: -32601, message: `The client does not support ${name}` },
      });
      expect(client.heard).toEqual([]);
    },
  );

  it.each(['roots/list', 'tasks/list', 'x/unknown'])(
    'is refused when it is %s, whatever the client has',
    (method) => {
      const { process, join, call } = start();
      const client = join({ roots: {}, tasks: {} });
      call(client);
      process.say({ jsonrpc: '2.0', id: 1, method });
      expect(process.read.at(-1)).toMatchObject({
        id: 1,
        error: { code: -32601, message: expect.stringContaining('share one server process') },
      });
      expect(client.heard).toEqual([]);
    },
  );

  it('is answered by the session that was asked, once, under the id that the server gave it', () => {
    const { process, join, call, done } = start();
    const [one, two] = [join(), join()];
    const first = call(one);
    process.say({ ...ASK, id: 'a' }, { ...ASK, id: 7 });
    done(first);
    call(two);
    process.say({ ...ASK, id: 'b' });
    const [a, seven] = one.heard.map(({ id }) => id);
    const [b] = two.heard.map(({ id }) => id);
    expect(new Set([a, seven, b]).size).toBe(3);
    const before = process.lines.length;
    two.answer(a, { by: 'two' });
    one.answer(b, { by: 'one' });
    one.answer(String(a), { by: 'one' });
    one.answer(999, {});
    expect(process.lines).toHaveLength(before);
    one.answer(seven, { by: 'one' });
    two.answer(b, { by: 'two' });
    one.answer(a, { by: 'one' });
    one.answer(a, { by: 'one again' });
    expect(process.read.slice(before)).toEqual([
      { jsonrpc: '2.0', id: 7, result: { by: 'one' } },
      { jsonrpc: '2.0', id: 'b', result: { by: 'two' } },
      { jsonrpc: '2.0', id: 'a', result: { by: 'one' } },
    ]);
  });

  it('that the server takes back is taken back from the session that has it', () => {
    const { process, join, call } = start();
    const [one, two] = [join(), join()];
    call(one);
    process.say(ASK);
    call(two);
    const takeBack = {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: 'q', reason: 'late' },
    };
    process.say(takeBack, takeBack);
    const [asked, ...rest] = one.heard;
    expect(rest).toEqual([{ ...takeBack, params: { requestId: asked?.id, reason: 'late' } }]);
    expect(two.heard).toEqual([]);
    const before = process.lines.length;
    one.answer(asked?.id);
    expect(process.lines).toHaveLength(before);
  });

  it('is answered with an error when its session leaves', () => {
    const { process, join, call } = start();
    const one = join();
    call(one);
    process.say(ASK);
    void one.channel.close();
    expect(process.read.at(-1)).toEqual({
      jsonrpc: '2.0',
      id: 'q',
      error: { code: -32000, message: 'The client has left' },
    });
  });

  it('is refused when a thousand wait', () => {
    const { process, join, call } = start();
    const one = join();
    call(one);
    for (let id = 0; id < 1001; id++) process.say({ ...ASK, id });
    expect(one.heard).toHaveLength(1000);
    expect(process.read.at(-1)).toMatchObject({ id: 1000, error: { code: -32000 } });
  });
});

describe('notifications/elicitation/complete', () => {
  it('goes to the session that was sent to the URL, by a request or by an error, once', () => {
    const { process, server, join, call, done } = start();
    const [one, two] = [join(), join()];
    const params = { mode: 'url', url: 'https://x', elicitationId: 'e1' };
    const first = call(one);
    process.say({ jsonrpc: '2.0', id: 1, method: 'elicitation/create', params });
    done(first);
    const data = { elicitations: [{ mode: 'url', elicitationId: 'e2' }, { elicitationId: 'e3' }, null, 5] };
    process.say({ jsonrpc: '2.0', id: call(two), error: { code: -32042, message: 'open these', data } });
    one.news();
    two.news();
    process.say(complete('e1'), complete('e2'), complete('e3'), complete('e1'), complete('e9'));
    expect(one.heard).toEqual([complete('e1')]);
    expect(two.heard).toEqual([complete('e2'), complete('e3')]);
    expect(server.dropped).toBe(2);
  });

  it('goes nowhere when its session has left, and when it is one of too many', () => {
    const { process, server, join, call } = start();
    const [one, two] = [join(), join()];
    const sendTo = (client: SharedClient, elicitationId: string): void =>
      process.say({
        jsonrpc: '2.0',
        id: call(client),
        error: { code: -32042, message: '', data: { elicitations: [{ elicitationId }] } },
      });
    sendTo(one, 'left');
    for (let n = 0; n < 1001; n++) sendTo(two, `e${n}`);
    void one.channel.close();
    two.news();
    process.say(complete('left'), complete('e0'), complete('e1'), complete('e1000'));
    expect(two.heard).toEqual([complete('e1'), complete('e1000')]);
    expect(server.dropped).toBe(2);
  });
});

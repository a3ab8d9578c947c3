import { describe, expect, it } from 'vitest';
import { RecordingOutlet } from '../../../test/support/recording-outlet.js';
import { result, startSession as start, withToken } from '../../../test/support/scripted-session.js';

function progress(progressToken: unknown): object {
  return { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1 } };
}

function cancel(rawId: string): string {
  return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${rawId},"reason":"enough"}}`;
}

describe('progress', () => {
  it('goes to the request that asked for it, with the token as it was written, though tokens are equal', () => {
    const { process, call } = start();
    const tokens = ['1', '"1"', '1', '"abc\\n"', '0'];
    const outlets = tokens.map((token) => call('1', withToken(token)));
    const seen = process.read.map(
      (message) => (message.params?.['_meta'] as { progressToken: number } | undefined)?.progressToken,
    );
    expect(new Set(seen).size).toBe(tokens.length);
    for (const token of seen) process.say(progress(token));
    expect(outlets.map((outlet) => outlet.texts)).toEqual(
      tokens.map((token) => [
        `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1}}`,
      ]),
    );
  });

  it('is dropped when nobody asked, and after the answer', () => {
    const { process, ambient, call } = start();
    const asked = call('1', withToken('5'));
    const silent = call('2');
    process.say(progress(2), progress('1'), progress(null), progress(77), progress(undefined));
    process.say(result(1), progress(1));
    expect(asked.messages).toHaveLength(1);
    expect(silent.messages).toEqual([]);
    expect(ambient.messages).toEqual([]);
  });

  it('of a task goes on after the answer, to the ambient outlet', () => {
    const { process, ambient, call } = start();
    call('1', withToken('"t"'));
    process.say(result(1, { task: { taskId: 'x' } }), progress(1));
    expect(ambient.messages).toMatchObject([{ params: { progressToken: 't' } }]);
  });

  it('for a client that takes nothing but the answer goes to the ambient outlet', () => {
    const { process, ambient, call } = start();
    const outlet = call('1', withToken('5'), new RecordingOutlet(false));
    process.say(progress(1), result(1));
    expect(ambient.messages).toMatchObject([{ params: { progressToken: 5 } }]);
    expect(outlet.messages).toHaveLength(1);
  });

  it('of the client goes to the server untouched', () => {
    const { process, send } = start();
    const text =
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"s","progress":1.0}}';
    send(text);
    expect(process.lines).toEqual([text]);
  });
});

describe('cancellation', () => {
  it('by the client names our id to the server and ends the HTTP request, once', () => {
    const { process, session, call, send } = start();
    const outlet = call('"a"');
    send(cancel('"a"'));
    expect(process.read[1]).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: 1, reason: 'enough' },
    });
    process.say(result(1));
    expect(outlet.messages).toMatchObject([{ id: 'a', error: {} }]);
    expect(session.inFlight).toBe(0);
  });

  it('means the newest of requests with the same id', () => {
    const { process, call, send } = start();
    const [older, newer] = [call('1'), call('1')];
    send(cancel('1'));
    expect(process.read[2]?.params).toMatchObject({ requestId: 2 });
    expect([older.lasts.length, newer.lasts.length]).toEqual([0, 1]);
  });

  it('of what is answered, unknown or named by nothing goes nowhere', () => {
    const { process, call, send } = start();
    call('1');
    process.say(result(1));
    for (const rawId of ['1', '"1"', '99', 'null']) send(cancel(rawId));
    send('{"jsonrpc":"2.0","method":"notifications/cancelled"}');
    expect(process.lines).toHaveLength(1);
  });

  it('never stops initialize', () => {
    const { process, session, call, send } = start();
    const outlet = call('0', '"method":"initialize"');
    send(cancel('0'));
    expect(process.lines).toHaveLength(1);
    process.say(result(1, { protocolVersion: '2025-06-18' }));
    expect(outlet.lasts).toHaveLength(1);
    expect(session.protocolVersion).toBe('2025-06-18');
  });

  it('by the server names the id its client knows, where the request went', () => {
    const { process, call, answer } = start();
    const outlet = call('1');
    process.say({ jsonrpc: '2.0', id: 'ask', method: 'sampling/createMessage' });
    process.say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'ask' } });
    process.say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'ask' } });
    expect(outlet.messages.slice(1)).toEqual([
      {
        jsonrpc: '2.0',
        method: 'notifications/cancelled',
        params: { requestId: outlet.messages[0]?.['id'] },
      },
    ]);
    answer(String(outlet.messages[0]?.['id']));
    expect(process.lines).toHaveLength(1);
  });
});

describe('the rest', () => {
  const log = { jsonrpc: '2.0', method: 'notifications/message', params: { data: 'x' } };
  const changed = { jsonrpc: '2.0', method: 'notifications/tools/list_changed' };
  const updated = { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'x:y' } };

  it.each([
    ['a log', log, { ambient: true, posts: [true, true] }, 'newest'],
    ['a log', log, { ambient: true, posts: [true, false] }, 'oldest'],
    ['a log', log, { ambient: true, posts: [false, false] }, 'ambient'],
    ['a log', log, { ambient: false, posts: [false, false] }, 'ambient'],
    ['list_changed', changed, { ambient: true, posts: [true, true] }, 'ambient'],
    ['list_changed', changed, { ambient: false, posts: [true, true] }, 'newest'],
    ['list_changed', changed, { ambient: false, posts: [false, false] }, 'ambient'],
    ['updated', updated, { ambient: true, posts: [true, true] }, 'ambient'],
    ['updated', updated, { ambient: false, posts: [true, true] }, 'newest'],
  ] as const)('%s goes to exactly one place (%#)', (_, message, open, to) => {
    const { process, ambient, call } = start();
    ambient.open = open.ambient;
    const posts = open.posts.map((isOpen) => call('1', undefined, new RecordingOutlet(isOpen)));
    process.say(message);
    const places = { ambient, oldest: posts[0], newest: posts[1] };
    for (const [name, place] of Object.entries(places)) {
      expect(place?.messages, name).toEqual(name === to ? [message] : []);
    }
  });

  it('of the client passes to the character', () => {
    const { process, send } = start();
    const text = '{ "jsonrpc" : "2.0", "method":"notifications/initialized", "x": 1.0 }';
    send(text);
    expect(process.lines).toEqual([text]);
  });

  it('of what a request says passes to the character but for id and token', () => {
    const { process, call } = start();
    call(
      '"me"',
      '"method":"tools/call", "params":{"n":1.0,"big":12345678901234567890,"_meta":{"progressToken":"p","k":0}}',
    );
    expect(process.lines).toEqual([
      '{"jsonrpc":"2.0","id":1,"method":"tools/call", "params":{"n":1.0,"big":12345678901234567890,"_meta":{"progressToken":1,"k":0}}}',
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { RecordingOutlet } from '../../../test/support/recording-outlet.js';
import { ScriptedProcess } from '../../../test/support/scripted-process.js';
import { result, startSession as start, withToken } from '../../../test/support/scripted-session.js';
import { RecordingHolder } from '../../../test/support/session-holder.js';

import { StdioChannel } from '../channels/stdio-channel.js';
import { parseMessage } from '../jsonrpc/envelope.js';
import { Session } from './session.js';

describe('ids', () => {
  it('of any kind come back as they were written, each to its own request', () => {
    const { process, session, call } = start();
    const ids = ['1', '"1"', '1', '1.0', '9007199254740993', '"\\u0061"', '""', '-7e2'];
    const outlets = ids.map((id) => call(id));
    const seen = process.read.map((message) => message.id);
    expect(new Set(seen).size).toBe(ids.length);
    expect(session.inFlight).toBe(ids.length);
    for (const [i, id] of [...seen.entries()].toReversed()) process.say(result(id, { nth: i }));
    expect(outlets.map((outlet) => outlet.lasts)).toEqual(
      ids.map((id, i) => [`{"jsonrpc":"2.0","id":${id},"result":{"nth":${i}}}`]),
    );
    expect(session.inFlight).toBe(0);
  });

  it('are answered once: what is answered again, or was never asked, goes nowhere', () => {
    const { process, ambient, call } = start();
    const outlet = call('1');
    const id = process.read[0]?.id;
    process.say(result(id), result(id), result(999), result(String(id)), result('x'));
    process.say({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error' } });
    expect(outlet.messages).toHaveLength(1);
    expect(ambient.messages).toEqual([]);
  });

  it('of errors come back too', () => {
    const { process, call } = start();
    const outlet = call('"e"');
    process.say({
      jsonrpc: '2.0',
      id: process.read[0]?.id,
      error: { code: -32602, message: 'no', data: [1] },
    });
    expect(outlet.lasts).toEqual([
      '{"jsonrpc":"2.0","id":"e","error":{"code":-32602,"message":"no","data":[1]}}',
    ]);
  });

  it('beyond 1,000 in flight are refused at once, and the others still answered', () => {
    const { process, call } = start();
    const outlets = Array.from({ length: 1000 }, () => call('1'));
    const refused = call('"extra"');
    expect(process.lines).toHaveLength(1000);
    expect(refused.messages).toMatchObject([
      { id: 'extra', error: { message: expect.stringContaining('1000') as string } },
    ]);
    for (const { id } of process.read) process.say(result(id));
    expect(outlets.every((outlet) => outlet.lasts.length === 1)).toBe(true);
    call('2');
    expect(process.lines).toHaveLength(1001);
  });
});

describe("the server's requests", () => {
  it('get ids of ours and their answers the ids of theirs, exactly once', () => {
    const { process, call, answer } = start();
    const outlet = call('1');
    const ids = [1, '1', 'x', 2.5];
    for (const id of ids) process.say({ jsonrpc: '2.0', id, method: 'roots/list' });
    const ours = outlet.messages.map((message) => message['id']);
    expect(new Set(ours).size).toBe(ids.length);
    for (const id of ours) {
      answer(String(id));
      answer(String(id));
    }
    expect(process.read.slice(1)).toEqual(ids.map((id) => result(id)));
  });

  it('of the same id are kept apart', () => {
    const { process, ambient, answer } = start();
    process.say({ jsonrpc: '2.0', id: 0, method: 'ping' }, { jsonrpc: '2.0', id: 0, method: 'ping' });
    for (const message of ambient.messages) answer(String(message['id']));
    expect(process.read).toEqual([result(0), result(0)]);
  });

  it('that nobody asked are not answered: such an answer never reaches the server', () => {
    const { process, answer } = start();
    for (const rawId of ['1', '"1"', 'null', '0', '-1', '1e400']) answer(rawId);
    answer('1', '"error":{"code":1,"message":"x"}');
    expect(process.lines).toEqual([]);
  });

  it('that ping a client which does not listen are answered for it, and take no place', () => {
    const { process, ambient } = start();
    for (let n = 0; n < 1001; n++) process.say({ jsonrpc: '2.0', id: `p${n}`, method: 'ping' });
    expect(ambient.messages).toEqual([]);
    expect(process.read.every(({ result }) => result !== undefined)).toBe(true);
    process.say({ jsonrpc: '2.0', id: 'r', method: 'roots/list' });
    expect(ambient.messages).toMatchObject([{ method: 'roots/list' }]);
  });

  it('beyond 1,000 unanswered are refused', () => {
    const { process, ambient } = start();
    for (let n = 0; n < 1001; n++) process.say({ jsonrpc: '2.0', id: `r${n}`, method: 'roots/list' });
    expect(ambient.messages).toHaveLength(1000);
    expect(process.read).toMatchObject([{ id: 'r1000', error: { code: -32000 } }]);
  });
});

describe('the end', () => {
  it('of the process answers every request once, behind what it still said', () => {
    const { process, closings, session, call, answer } = start();
    const outlets = [call('1'), call('"b"'), call('3')];
    process.complain('out of cheese\n');
    process.say({ jsonrpc: '2.0', id: 'q', method: 'ping' }, result(2, { fine: true }));
    process.exit(7);
    expect(outlets.map((outlet) => outlet.lasts.length)).toEqual([1, 1, 1]);
    expect(outlets[1]?.messages).toMatchObject([{ id: 'b', result: { fine: true } }]);
    for (const outlet of [outlets[0], outlets[2]]) {
      expect(outlet?.messages.at(-1)).toMatchObject({
        error: {
          data: { code: 'server_exited' },
          message: 'The server exited with code 7. It said:\nout of cheese',
        },
      });
    }
    expect(closings).toHaveLength(1);
    expect(session.inFlight).toBe(0);
    const lines = process.lines.length;
    answer('1');
    expect(call('4').messages).toMatchObject([{ id: 4, error: { data: { code: 'server_exited' } } }]);
    expect(process.lines).toHaveLength(lines);
  });

  it.each([
    ['session_ended', undefined],
    ['server_invalid', 'It did not answer'],
  ])('by us is told as %s', async (code, fault) => {
    const { process, session, call } = start();
    const outlet = call('1');
    await session.close(fault);
    process.say(result(1));
    expect(outlet.messages).toMatchObject([{ id: 1, error: { data: { code } } }]);
    expect(process.ends).toBe(1);
  });

  it('of a spare before its session opened is told too', () => {
    const process = new ScriptedProcess();
    const channel = new StdioChannel(process, 1000);
    process.exit(1);
    const holder = new RecordingHolder(new RecordingOutlet());
    const session = new Session(channel, holder);
    const outlet = new RecordingOutlet();
    void session.fromClient(parseMessage('{"jsonrpc":"2.0","id":1,"method":"initialize"}'), outlet);
    expect(outlet.messages).toMatchObject([{ id: 1, error: { data: { code: 'server_exited' } } }]);
    expect(holder.closings).toHaveLength(1);
  });

  it('does not come by an answer that says things twice', () => {
    const { process, session, call } = start();
    const outlet = call('1', withToken('1'));
    process.say('{"jsonrpc":"2.0","id":1,"result":{"task":{},"task":null}}');
    expect(outlet.lasts).toHaveLength(1);
    expect(session.inFlight).toBe(0);
  });
});

describe('initialize', () => {
  it.each([
    ['{"protocolVersion":"2025-03-26"}', '2025-03-26'],
    ['{"protocolVersion":5}', undefined],
    ['{}', undefined],
    ['null', undefined],
    ['"protocolVersion"', undefined],
    ['[{"protocolVersion":"x"}]', undefined],
  ])('answered with %s negotiates %s', (text, version) => {
    const { process, session, call } = start();
    call('1', '"method":"initialize"');
    process.say(`{"jsonrpc":"2.0","id":1,"result":${text}}`);
    expect(session.protocolVersion).toBe(version);
  });
});

import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../test/support/seeded-random.js';
import {
  type Envelope,
  parseBody,
  parseMessage,
  rawMembers,
  rawSlot,
  stringIn,
  withSlots,
} from './envelope.js';
import { InvalidMessageError } from './invalid-message.error.js';

function rawId(message: Envelope): string | undefined {
  return message.kind === 'notification' ? undefined : message.rawId;
}

describe('parseMessage', () => {
  it.each([
    ['{"jsonrpc":"2.0","id":1,"method":"ping"}', 'request', '1'],
    ['{"jsonrpc":"2.0","id":"1","method":"ping"}', 'request', '"1"'],
    ['{"jsonrpc":"2.0","id":"","method":"ping"}', 'request', '""'],
    ['{"jsonrpc":"2.0","id":-1.0,"method":"ping"}', 'request', '-1.0'],
    ['{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}', 'request', '9007199254740993'],
    ['{"jsonrpc":"2.0","id":1e400,"method":"ping"}', 'request', '1e400'],
    ['{"jsonrpc":"2.0","id":"a\\"b\\\\","method":"ping"}', 'request', '"a\\"b\\\\"'],
    ['{"jsonrpc":"2\\u002e0","\\u0069d":7,"m\\u0065thod":"ping"}', 'request', '7'],
    ['{"jsonrpc":"2.0","method":"notifications/x"}', 'notification', undefined],
    ['{"jsonrpc":"2.0","method":"n","params":{"id":5}}', 'notification', undefined],
    ['{"jsonrpc":"2.0","result":{"id":5},"id":3}', 'response', '3'],
    ['{"jsonrpc":"2.0","result":null,"id":3}', 'response', '3'],
    ['{"jsonrpc":"2.0","error":{"code":-1,"message":""},"id":"x"}', 'response', '"x"'],
    ['{"jsonrpc":"2.0","error":{"code":-1,"message":""},"id":null}', 'response', 'null'],
    ['{"jsonrpc":"2.0","error":{"code":-1,"message":""}}', 'response', 'null'],
    ['{"jsonrpc":"2.0","method":"n","__proto__":{"id":1}}', 'notification', undefined],
    ['{"jsonrpc":"2.0","id":1,"method":"m","params":{"__proto__":{"_meta":{}}}}', 'request', '1'],
  ])('reads %s', (text, kind, id) => {
    const message = parseMessage(text);
    expect(message.kind).toBe(kind);
    expect(rawId(message)).toBe(id);
    expect(message.text).toBe(text);
    expect(Object.prototype).not.toHaveProperty('id');
  });

  it.each([
    [`{"jsonrpc":"2.0","id":"${'x'.repeat(1023)}","method":"m"}`, '1024 characters'],
    ['null', 'JSON object'],
    ['"jsonrpc"', 'JSON object'],
    ['[]', 'JSON object'],
    ['{}', '"jsonrpc"'],
    ['{"jsonrpc":"1.0","id":1,"method":"m"}', '"jsonrpc"'],
    ['{"jsonrpc":2.0,"id":1,"method":"m"}', '"jsonrpc"'],
    ['{"__proto__":{"jsonrpc":"2.0"},"id":1,"method":"m"}', '"jsonrpc"'],
    ['{"jsonrpc":"2.0","id":null,"method":"m"}', '"id"'],
    ['{"jsonrpc":"2.0","id":true,"method":"m"}', '"id"'],
    ['{"jsonrpc":"2.0","id":{},"method":"m"}', '"id"'],
    ['{"jsonrpc":"2.0","id":[1],"method":"m"}', '"id"'],
    ['{"jsonrpc":"2.0","id":false,"result":1}', '"id"'],
    ['{"jsonrpc":"2.0","id":1,"method":null}', '"method"'],
    ['{"jsonrpc":"2.0","id":1,"method":5}', '"method"'],
    ['{"jsonrpc":"2.0","id":1}', 'exactly one'],
    ['{"jsonrpc":"2.0","id":1,"result":1,"error":2}', 'exactly one'],
    ['{"jsonrpc":"2.0","id":1,"method":"m","id":2}', 'twice'],
    ['{"jsonrpc":"2.0","id":1,"method":"m","\\u0069d":2}', 'twice'],
    ['{"jsonrpc":"2.0","id":1,"method":"m","method":"n"}', 'twice'],
    ['{"jsonrpc":"2.0","id":1,"method":"m","params":{},"params":{}}', 'twice'],
    ['{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{},"_meta":{}}}', 'twice'],
    [
      '{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1,"progressToken":2}}}',
      'twice',
    ],
    ['{"jsonrpc":"2.0","method":"m","params":{"requestId":1,"requestId":2}}', 'twice'],
  ])('refuses %s because of %s', (text, why) => {
    expect(() => parseMessage(text)).toThrow(InvalidMessageError);
    expect(() => parseMessage(text)).toThrow(why);
  });

  it.each([
    '',
    '{',
    '{"jsonrpc":"2.0","method":"a\nb"}',
    '{"jsonrpc":"2.0","id":1,"method":"m"}}',
    '\ufeff{}',
  ])('tells what is not JSON, %j, from what is no message', (text) => {
    expect(() => parseMessage(text)).toThrow(SyntaxError);
  });

  it('takes line breaks of pretty printing out, one character for one', () => {
    const pretty = JSON.stringify(
      { jsonrpc: '2.0', id: 1, method: 'm', params: { a: ['x\ny', {}] } },
      null,
      2,
    );
    for (const text of [
      pretty,
      pretty.replaceAll('\n', '\r\n'),
      pretty.replaceAll('\n', '\r'),
      `\r\n${pretty}\n`,
    ]) {
      const message = parseMessage(text);
      expect(message.text).not.toMatch(/[\r\n]/);
      expect(message.text).toHaveLength(text.length);
      expect(JSON.parse(withSlots(message, { id: '"new"' }))).toEqual({ ...JSON.parse(pretty), id: 'new' });
    }
  });

  it('reads a message that nests 100,000 levels deep', () => {
    const text = `{"jsonrpc":"2.0","id":1,"params":${'{"params":'.repeat(100_000)}0${'}'.repeat(100_000)},"method":"m"}`;
    expect(withSlots(parseMessage(text), { id: '2' })).toBe(text.replace('"id":1', '"id":2'));
  });

  it('exchanges the id behind an 8 MB string that ends in backslashes and quotes', () => {
    const data = `${'x'.repeat(8 << 20)}\\\\\\"id\\":9\\\\`;
    const text = `{"jsonrpc":"2.0","result":{"data":"${data}"},"id":1}`;
    expect(withSlots(parseMessage(text), { id: '"abc"' })).toBe(text.replace(/"id":1}$/, '"id":"abc"}'));
  });
});

describe('slots', () => {
  it('are found where routing means them and nowhere else', () => {
    const text =
      '{"params":{"_meta":{"x":{"progressToken":0},"progressToken":"t"},"progressToken":5,"requestId":"r","id":6,"arguments":{"_meta":{"progressToken":7},"id":8}},"method":"m","id":9,"jsonrpc":"2.0"}';
    const message = parseMessage(text);
    const slots = ['id', 'requestToken', 'progressToken', 'requestId'] as const;
    expect(slots.map((slot) => rawSlot(message, slot))).toEqual(['9', '"t"', '5', '"r"']);
    expect(withSlots(message, { id: 'A', requestToken: 'B', progressToken: 'C', requestId: 'D' })).toBe(
      text
        .replace('"progressToken":"t"', '"progressToken":B')
        .replace(':5', ':C')
        .replace('"r"', 'D')
        .replace(':9', ':A'),
    );
  });

  it('are strings or numbers: another kind of token is none', () => {
    for (const token of ['null', 'true', '{}', '[1]']) {
      const text = `{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":${token}}}}`;
      const message = parseMessage(text);
      expect(rawSlot(message, 'requestToken')).toBeUndefined();
      expect(withSlots(message, { requestToken: '1' })).toBe(text);
    }
  });

  it.each([
    '{"params":[{"_meta":{"progressToken":1}}]',
    '{"params":"_meta"',
    '{"params":null',
    '{"params":{"_meta":[1]}',
  ])('are not looked for in params of another kind: %s', (start) => {
    const message = parseMessage(`${start},"jsonrpc":"2.0","id":1,"method":"m"}`);
    expect(Object.keys(message.slots)).toEqual(['id']);
  });

  it('are all that changes in 2,000 random messages', () => {
    const random = seededRandom(4);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const spaces = (): string => pick(['', ' ', '\t ', '  ']);
    const junk = (depth = 0): string => {
      const flat = [
        '1.0',
        '1E+22',
        '12345678901234567890',
        '"id"',
        '"\\"id\\":1"',
        '"\\\\"',
        '"}{]["',
        '"\u2028\ud83d\ude80"',
        'null',
        '-0',
      ];
      if (depth > 3 || random() < 0.5) return pick(flat);
      const member = (): string =>
        `${spaces()}"${pick(['id', 'params', '_meta', 'x\\"', 'progressToken', '__proto__'])}"${spaces()}:${junk(depth + 1)}`;
      return random() < 0.5
        ? `[${junk(depth + 1)}${spaces()},${junk(depth + 1)}]`
        : `{${member()}${spaces()}}`;
    };
    for (let i = 0; i < 2000; i++) {
      const token = `"progressToken"${spaces()}:${spaces()}@TOKEN@`;
      const meta = `"_meta":{"a":${junk()},${token}${spaces()},"b":${junk()}}`;
      const params = `"params":{"y":${junk()},${meta}${spaces()}}`;
      const parts = [
        '"jsonrpc":"2.0"',
        '"method":"m"',
        `"id"${spaces()}:${spaces()}@ID@`,
        params,
        `"z":${junk()}`,
      ];
      const template = `{${parts.sort(() => random() - 0.5).join(`${spaces()},${spaces()}`)}}`;
      const fill = (id: string, t: string): string =>
        template.replace('@ID@', () => id).replace('@TOKEN@', () => t);
      const original = fill(pick(['1', '"x"', '0.5', '"\\\\"']), pick(['7', '"t\\""']));
      expect(withSlots(parseMessage(original), { id: '42', requestToken: '43' })).toBe(fill('42', '43'));
    }
  });
});

describe('parseBody', () => {
  it('tells a batch of one from a message', () => {
    const one = '{"jsonrpc":"2.0","id":1,"method":"m"}';
    expect(parseBody(one).batch).toBe(false);
    const { batch, messages } = parseBody(` [\n${one} ] `);
    expect(batch).toBe(true);
    expect(messages.map((message) => message.text)).toEqual([one]);
  });

  it('keeps each message of a batch to the character', () => {
    const texts = [
      '{"jsonrpc":"2.0","id":1.0,"method":"a","params":["],["]}',
      '{"jsonrpc":"2.0","method":"b"}',
      '{"jsonrpc":"2.0","id":"]","result":[[]]}',
    ];
    expect(parseBody(`[${texts.join(' , ')}]`).messages.map((message) => message.text)).toEqual(texts);
  });

  it.each([
    '[]',
    ' [ ] ',
    '[1]',
    '[null]',
    '[[]]',
    '[{"jsonrpc":"2.0","method":"m"},1]',
    '[[{"jsonrpc":"2.0","method":"m"}]]',
  ])('refuses the batch %s as invalid', (text) => {
    expect(() => parseBody(text)).toThrow(InvalidMessageError);
  });

  it.each(['[', '[]]', '[{"jsonrpc":"2.0","method":"m"},]', '[{"jsonrpc":"2.0","method":"m"}'])(
    'refuses %s as no JSON',
    (text) => {
      expect(() => parseBody(text)).toThrow(SyntaxError);
    },
  );

  it('takes a batch of 1,000 messages and refuses one of 1,001', () => {
    const message = '{"jsonrpc":"2.0","method":"m"}';
    const thousand = Array.from({ length: 1000 }, () => message).join(',');
    expect(parseBody(`[${thousand}]`).messages).toHaveLength(1000);
    expect(() => parseBody(`[${thousand},${message}]`)).toThrow('1000');
  });
});

describe('rawMembers', () => {
  it('reads members of a result, and nothing where there is no object', () => {
    const message = parseMessage('{"jsonrpc":"2.0","id":1,"result":{"a":{"b":1},"v":"x","v":"\\u0079"}}');
    const result = message.kind === 'response' ? message.result : undefined;
    const { a, v } = rawMembers(message, result, ['a', 'v', 'c']);
    expect(a).toBe('{"b":1}');
    // A server may write what it wants into its result; of equal members the last counts, as for JSON.parse.
    expect(stringIn(v)).toBe('y');
    expect(stringIn(a)).toBeUndefined();
    expect(rawMembers(message, undefined, ['a'])).toEqual({});
  });
});

import { describe, expect, it } from 'vitest';
import { type Envelope, parseMessage, type Slot } from '../jsonrpc/envelope.js';
import { readdressed } from './readdressed.js';

describe('readdressed', () => {
  it.each<[string, Partial<Record<Slot, string>>]>([
    ['{"jsonrpc":"2.0","id":1,"result":{"a":[1]}}', { id: '"much longer"' }],
    ['{"result":{"a":[1]}, "id" : "long enough" ,"jsonrpc":"2.0"}', { id: '7' }],
    ['{"error":{"code":1,"message":"x"},"id":12345,"jsonrpc":"2.0"}', { id: '0' }],
    [
      '{"params":{"_meta":{"progressToken":"p"},"x":1},"id":5,"jsonrpc":"2.0","method":"m"}',
      { id: '1234', requestToken: '1234' },
    ],
    ['{"jsonrpc":"2.0","method":"n","params":{"progressToken":9,"requestId":"a"}}', { progressToken: '"t"' }],
    ['{"jsonrpc":"2.0","method":"n"}', { progressToken: '1', id: '2' }],
  ])('%s with %j is what reading the new text gives', (text, changes) => {
    const message = readdressed(parseMessage(text), changes);
    expect(message).toEqual<Envelope>(parseMessage(message.text));
  });
});

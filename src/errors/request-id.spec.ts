import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { assignRequestId, requestIdOf } from './request-id.js';

function idFor(asked: string | undefined): { told: unknown; known: string | undefined } {
  const req = new IncomingMessage(new Socket());
  if (asked !== undefined) req.headers['x-request-id'] = asked;
  const res = new ServerResponse(req);
  assignRequestId(req, res, () => undefined);
  return { told: res.getHeader('X-Request-Id'), known: requestIdOf(req) };
}

const OURS = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

describe('the id of a request', () => {
  it.each([
    '0f8fad5b-d9cb-469f-a165-70867728950e',
    'Root=1-67891233-abcdef012345678912345678',
    '01ARZ3NDEKTSV4RRFFQ69G5FAV',
    'a.b:c/d@e+f=g~h',
    'x'.repeat(128),
  ])('is the client’s where that is %s', (asked) => {
    expect(idFor(asked)).toEqual({ told: asked, known: asked });
  });

  it.each([undefined, '', ' ', 'x'.repeat(129), 'a b', 'a\nb', 'a\u0000', 'a,b', '"a"', '<a>', 'ä', 'a\n'])(
    'is one of ours where it would be %j',
    (asked) => {
      const { told, known } = idFor(asked);
      expect(told).toMatch(OURS);
      expect(known).toBe(told);
    },
  );

  it('is another one each time', () => {
    expect(new Set(Array.from({ length: 100 }, () => idFor(undefined).known)).size).toBe(100);
  });
});

import type { Request, Response } from 'express';
import { describe, expect, it, vi } from 'vitest';
import { refuseOddBody } from './json-body.js';

function pass(body: unknown): void {
  const next = vi.fn();
  refuseOddBody({ body } as Request, {} as Response, next);
  expect(next).toHaveBeenCalledOnce();
}

function nested(levels: number): unknown {
  return levels === 0 ? 1 : { a: nested(levels - 1) };
}

describe('a body', () => {
  it('may be absent, or an object of ordinary depth', () => {
    pass(undefined);
    pass({ a: [{ b: 'c' }] });
    pass(nested(16));
  });

  it.each([[[]], ['text'], [null], [1]])('that is %j is refused', (body) => {
    expect(() => pass(body)).toThrow('must be a JSON object');
  });

  it('is refused when it is so deep that walking it could exhaust the stack', () => {
    expect(() => pass(nested(17))).toThrow('nested deeper');
    expect(() => pass({ a: JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as unknown })).toThrow(
      'nested deeper',
    );
  });

  it.each(['__proto__', 'constructor', 'prototype'])(
    'is refused when something in it is named %s',
    (name) => {
      const body: unknown = JSON.parse(`{"env":{"${name}":"x"}}`);
      expect(() => pass(body)).toThrow(`${name} is a name that cannot be used here`);
    },
  );
});

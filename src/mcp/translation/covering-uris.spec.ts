import { describe, expect, it } from 'vitest';
import { coveringUris } from './covering-uris.js';

describe('the URIs that cover one', () => {
  it('are itself and what it is a part of, with and without the slash', () => {
    expect(coveringUris('x:a/b/c')).toEqual(['x:a/b/c', 'x:a', 'x:a/', 'x:a/b', 'x:a/b/']);
    expect(coveringUris('a//b/')).toEqual(['a//b/', 'a', 'a/', 'a//', 'a//b']);
    expect(coveringUris('x:a')).toEqual(['x:a']);
  });

  it('are few and short, whatever a server names', () => {
    const deep = coveringUris('/'.repeat(1 << 20));
    expect(deep.length).toBeLessThanOrEqual(201);
    const long = coveringUris(`a/${'x'.repeat(8192)}/b`);
    expect(long).toEqual(['a', 'a/']);
  });
});

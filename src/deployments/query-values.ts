import type { TransformFnParams } from 'class-transformer';

// A query has only text. What is no value of its kind is left as it is, for the rule to refuse.

export function digits({ value }: TransformFnParams): unknown {
  return typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
}

export function truth({ value }: TransformFnParams): unknown {
  return value === 'true' ? true : value === 'false' ? false : value;
}

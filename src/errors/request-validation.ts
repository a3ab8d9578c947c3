import { ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { AppError, type FieldError } from './app-error.js';
import { ERRORS, type ErrorCode } from './error-codes.js';

const LONGEST_PATH = 200;

/** Requests are taken literally ("5" is no 5) and whole: an unknown field is an error, not a typo that does nothing. */
export function requestValidation(): ValidationPipe {
  return new ValidationPipe({
    transform: true,
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    stopAtFirstError: true,
    validationError: { target: false, value: false },
    exceptionFactory: refusalOf,
  });
}

function refusalOf(errors: ValidationError[]): AppError {
  const fields = errors.flatMap((error) => fieldsOf(error, ''));
  return new AppError(codeIn(errors) ?? 'validation_failed', {
    detail: fields.map(({ field, message }) => `${field} ${message}`.trim()).join('; '),
    fields,
  });
}

function fieldsOf(error: ValidationError, parent: string): FieldError[] {
  const path = (parent === '' ? error.property : `${parent}.${error.property}`).slice(0, LONGEST_PATH);
  const own = Object.entries(error.constraints ?? {}).map(([rule, message]) =>
    rule === 'whitelistValidation'
      ? { field: path, message: 'is not a field of this request' }
      : partOf(path, message),
  );
  return [...own, ...(error.children ?? []).flatMap((child) => fieldsOf(child, path))];
}

/** A message may begin with the part of the field that it is about: `[3] must …`, `.NAME must …`. */
function partOf(path: string, message: string): FieldError {
  const [, part = '', text = message] = /^([.[]\S*) (.*)$/s.exec(message) ?? [];
  return { field: `${path}${part}`, message: text };
}

/** The code that a rule gives to its refusal, where it gives one. */
function codeIn(errors: ValidationError[]): ErrorCode | undefined {
  for (const error of errors) {
    const contexts = Object.values(error.contexts ?? {}) as { code?: unknown }[];
    const code = contexts
      .map((context) => context.code)
      .find((found) => typeof found === 'string' && found in ERRORS);
    const found = (code as ErrorCode | undefined) ?? codeIn(error.children ?? []);
    if (found !== undefined) return found;
  }
  return undefined;
}

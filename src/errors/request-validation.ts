import { ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { AppError, type FieldError } from './app-error.js';

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
  return new AppError('validation_failed', {
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

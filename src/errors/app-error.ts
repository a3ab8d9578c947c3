import { ERRORS, type ErrorCode } from './error-codes.js';

export interface FieldError {
  /** Path of the field, `transport.type`. */
  field: string;
  /** What is wrong and what is allowed. */
  message: string;
}

interface AppErrorOptions {
  /** One sentence a person can act on; shown to clients, so never a secret. */
  detail?: string;
  fields?: FieldError[];
  retryAfterSeconds?: number;
  cause?: unknown;
}

/** The one error that use cases throw: a code of the registry, its words for the user, and the cause for the log. */
export class AppError extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string | undefined;
  readonly fields: FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly code: ErrorCode,
    options: AppErrorOptions = {},
  ) {
    super(options.detail ?? ERRORS[code].title, { cause: options.cause });
    this.name = 'AppError';
    this.status = ERRORS[code].status;
    this.title = ERRORS[code].title;
    this.detail = options.detail;
    this.fields = options.fields;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

import { HttpException } from '@nestjs/common';
import { AppError, type FieldError } from './app-error.js';
import type { ErrorCode } from './error-codes.js';

/** RFC 9457, with a stable `code` and, for invalid requests, what is wrong with which field. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail?: string;
  code: ErrorCode;
  /** Path of the request. */
  instance?: string;
  requestId: string;
  errors?: FieldError[];
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** What the client gets to see of `error`. */
export function problemOf(error: AppError, requestId: string, instance: string | undefined): Problem {
  return {
    type: `urn:mcp-runner:error:${error.code}`,
    title: error.title,
    status: error.status,
    ...(error.detail !== undefined && { detail: error.detail }),
    code: error.code,
    ...(instance !== undefined && { instance }),
    requestId,
    ...(error.fields !== undefined && { errors: error.fields }),
  };
}

/** Nest's own errors in our words. Everything else is ours to mend, so its words stay in the log. */
export function appErrorOf(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const status = error instanceof HttpException ? error.getStatus() : 500;
  if (status === 404) return new AppError('route_not_found', { cause: error });
  if (status >= 400 && status < 500) return new AppError('bad_request', { cause: error });
  return new AppError('internal_error', { cause: error });
}

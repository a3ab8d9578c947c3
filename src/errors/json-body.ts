import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { AppError } from './app-error.js';

const DEEPEST = 16;
const RESERVED = ['__proto__', 'constructor', 'prototype'];

/** Reads JSON bodies of at most `maxBytes`; what cannot be one is refused in our words before anything looks at it. */
export function jsonBody(maxBytes: number): RequestHandler {
  const parse = express.json({ limit: maxBytes, type: () => true });
  return (req, res, next) => {
    if (!hasBody(req)) return next();
    if (!req.is('application/json')) return next(new AppError('unsupported_media_type'));
    return parse(req, res, (error: unknown) =>
      next(error === undefined ? undefined : bodyErrorOf(error, maxBytes)),
    );
  };
}

/** Bodies are objects, without names that objects have by themselves, and not so deep that walking them exhausts the stack. */
export function refuseOddBody(req: Request, _res: Response, next: NextFunction): void {
  const body: unknown = req.body;
  const isObject = body === undefined || (typeof body === 'object' && body !== null && !Array.isArray(body));
  if (!isObject) throw oddBody('The body must be a JSON object.');
  if (isDeeperThan(body, DEEPEST))
    throw oddBody(`The body must not be nested deeper than ${DEEPEST} levels.`);
  // What validates requests would leave these names out in silence.
  const name = reservedNameIn(body);
  if (name !== undefined) throw oddBody('is a name that cannot be used here', name);
  next();
}

function oddBody(message: string, field = ''): AppError {
  return new AppError('validation_failed', {
    detail: `${field} ${message}`.trim(),
    fields: [{ field, message }],
  });
}

function reservedNameIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const own = RESERVED.find((name) => Object.hasOwn(value, name));
  if (own !== undefined) return own;
  for (const item of Object.values(value)) {
    const inner = reservedNameIn(item);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function hasBody(req: Request): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((item) => isDeeperThan(item, levels - 1));
}

function bodyErrorOf(error: unknown, maxBytes: number): AppError {
  const { type } = error as { type?: unknown };
  switch (type) {
    case 'entity.too.large':
      return new AppError('body_too_large', { detail: `The limit is ${maxBytes} bytes.`, cause: error });
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return new AppError('unsupported_media_type', { detail: 'Send UTF-8, not compressed.', cause: error });
    default:
      return new AppError('malformed_json', { detail: parseDetail(error), cause: error });
  }
}

/** Where the mistake is; never what stands there, which may be a secret. */
function parseDetail(error: unknown): string {
  const position = error instanceof Error ? /position \d+/.exec(error.message)?.[0] : undefined;
  return position === undefined ? 'It ends early or is no JSON.' : `There is a mistake at ${position}.`;
}

import type { ServerResponse } from 'node:http';
import type { AppError } from '../../../errors/app-error.js';
import { errorText, RPC } from '../../jsonrpc/json-rpc.js';

/** Nothing a sandbox says may be taken for a page, and no cache may keep it. */
export const SAFE_HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

export function sendJson(
  res: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  if (res.closed || res.headersSent) return;
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...SAFE_HEADERS,
    ...headers,
  });
  res.end(text);
}

export function sendEmpty(res: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  if (res.closed || res.headersSent) return;
  res.writeHead(status, { ...SAFE_HEADERS, ...headers });
  res.end();
}

/** A refusal of the transport itself. */
export class EdgeError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly rpcCode: number = RPC.serverError,
    readonly headers: Record<string, string> = {},
    readonly data?: Record<string, unknown>,
  ) {
    super(message);
    this.name = 'EdgeError';
  }
}

/** What is logged and counted for a client that did not wait for its answer. */
export const CLIENT_LEFT = 499;

export function clientLeft(): EdgeError {
  return new EdgeError(CLIENT_LEFT, 'The client has left');
}

/**
 * Any failure as an HTTP status with a JSON-RPC error body, which is what MCP clients show to their users. `rawId`: the
 * id of the request that failed, where it is known.
 */
export function sendError(res: ServerResponse, error: EdgeError | AppError, rawId = 'null'): void {
  sendJson(res, error.status, rpcErrorText(error, rawId), headersOf(error));
}

/** Any failure as a JSON-RPC error. */
export function rpcErrorText(error: EdgeError | AppError, rawId: string): string {
  if (error instanceof EdgeError) {
    const { rpcCode: code, message, data } = error;
    return errorText(rawId, { code, message, ...(data && { data }) });
  }
  return errorText(rawId, {
    code: RPC.serverError,
    message: error.detail === undefined ? error.title : `${error.title}: ${error.detail}`,
    data: { code: error.code },
  });
}

function headersOf(error: EdgeError | AppError): Record<string, string> {
  if (error instanceof EdgeError) return error.headers;
  const { retryAfterSeconds } = error;
  return retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
}

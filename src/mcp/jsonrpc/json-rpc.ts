/** Codes of JSON-RPC 2.0 and those the MCP reference server uses on HTTP errors. */
export const RPC = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  /** The reference server's catch-all for refusals of the transport. */
  serverError: -32000,
  sessionNotFound: -32001,
} as const;

export interface RpcError {
  code: number;
  message: string;
  data?: Record<string, unknown>;
}

/** An error response as JSON text. `rawId` is the request's id as it stood in its JSON, `null` where none is known. */
export function errorText(rawId: string, error: RpcError): string {
  return `{"jsonrpc":"2.0","id":${rawId},"error":${JSON.stringify(error)}}`;
}

/** A request as JSON text. */
export function requestText(id: number | string, method: string, params: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}

export function notificationText(method: string, params?: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params });
}

import type { IncomingMessage } from 'node:http';

/** The subprotocol of MCP over WebSocket, the only one that is ever selected. */
export const SUBPROTOCOL = 'mcp';

/** Browsers cannot set headers on a WebSocket, so a key may be offered as `mcp.bearer.<base64url of the key>`. */
const BEARER = /^mcp\.bearer\.([\w-]+)$/;

/** What the client offers, in its order. */
export function offeredSubprotocols(req: IncomingMessage): string[] {
  const header = req.headers['sec-websocket-protocol'] ?? '';
  return header.split(',').map((name) => name.trim());
}

/** The key or token that is offered as a subprotocol of a WebSocket upgrade. Never to be logged, like any header. */
export function bearerSubprotocol(req: IncomingMessage): string | undefined {
  if (req.headers.upgrade?.toLowerCase() !== 'websocket') return undefined;
  for (const name of offeredSubprotocols(req)) {
    const encoded = BEARER.exec(name)?.[1];
    if (encoded !== undefined) return Buffer.from(encoded, 'base64url').toString('utf8');
  }
  return undefined;
}

import type { IncomingMessage } from 'node:http';
import { RPC } from '../../jsonrpc/json-rpc.js';
import { EdgeError } from '../http/http-reply.js';
import { offeredSubprotocols, SUBPROTOCOL } from './subprotocols.js';

const VERSION = '13';
/** 16 bytes in base64. */
const KEY = /^[\d+/a-z]{22}==$/i;

/** Throws 4xx for what is no opening handshake of RFC 6455 for MCP. */
export function requireUpgradable(req: IncomingMessage): void {
  const { headers } = req;
  if (req.method !== 'GET') {
    throw new EdgeError(405, 'Method Not Allowed', RPC.serverError, { allow: 'GET' });
  }
  const isWebSocket = headers.upgrade?.toLowerCase() === 'websocket';
  if (!isWebSocket || headers['sec-websocket-version'] !== VERSION) throw upgradeRequired();
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) {
    throw new EdgeError(400, 'Bad Request: Sec-WebSocket-Key must be 16 bytes in base64');
  }
  if (!offeredSubprotocols(req).includes(SUBPROTOCOL)) {
    throw new EdgeError(
      400,
      `Bad Request: the client must offer the WebSocket subprotocol "${SUBPROTOCOL}" (Sec-WebSocket-Protocol: ${SUBPROTOCOL})`,
    );
  }
}

function upgradeRequired(): EdgeError {
  return new EdgeError(
    426,
    `Upgrade Required: WebSocket version ${VERSION} is spoken here`,
    RPC.serverError,
    {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': VERSION,
    },
  );
}

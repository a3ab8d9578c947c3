import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { isAnswering } from './mcp/edges/websocket/refuse-upgrade.js';

type Upgrade = (req: IncomingMessage, socket: Duplex, head: Buffer) => Promise<unknown>;

/** Headers that ask for an upgrade, or are about one. */
const UPGRADE_HEADERS = new Set(['upgrade', 'http2-settings']);

/**
 * Hands requests for a WebSocket below `path` to `upgrade`, which answers them all and never rejects. Every other request
 * to upgrade is served as if it asked for none, as HTTP allows (RFC 9110, 7.8): Java's HTTP client, for one, asks for
 * HTTP/2 with each first request, and Node would leave such a request to us as soon as we listen for upgrades.
 */
export function serveUpgrades(server: Server, path: string, upgrade: Upgrade): void {
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    const isOurs = req.headers.upgrade?.trim().toLowerCase() === 'websocket' && req.url?.startsWith(path);
    if (isOurs === true) void upgrade(req, socket, head);
    else serveWithoutUpgrade(server, req, socket, head);
  });
}

/** The server has read the head of the request and let go of the socket: give it back, with the head put in front. */
function serveWithoutUpgrade(server: Server, req: IncomingMessage, socket: Duplex, head: Buffer): void {
  if (isAnswering(socket)) {
    socket.destroy();
    return;
  }
  const lines = [`${req.method ?? 'GET'} ${req.url ?? '/'} HTTP/${req.httpVersion}`];
  for (let i = 0; i + 1 < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] ?? '';
    const value = req.rawHeaders[i + 1] ?? '';
    if (UPGRADE_HEADERS.has(name.toLowerCase())) continue;
    const kept = name.toLowerCase() === 'connection' ? withoutUpgrade(value) : value;
    if (kept !== '') lines.push(`${name}: ${kept}`);
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

function withoutUpgrade(connection: string): string {
  const tokens = connection.split(',').map((token) => token.trim());
  return tokens.filter((token) => token !== '' && !UPGRADE_HEADERS.has(token.toLowerCase())).join(', ');
}

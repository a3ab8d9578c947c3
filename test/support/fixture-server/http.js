import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { serveFixture } from './server.js';

/** Whoever runs it in a container reaches it from outside, so it listens on every address. */
const EVERYWHERE = '0.0.0.0';

function giveUp(res, error) {
  process.stderr.write(`fixture: ${error.stack}\n`);
  res.destroy();
}

function listen(port, handle) {
  const server = createServer((req, res) => void handle(req, res).catch((error) => giveUp(res, error)));
  server.listen(port, EVERYWHERE, () => process.stderr.write(`fixture: listening on port ${port}\n`));
}

function refuse(res, status, message) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32001, message }, id: null }));
}

/** Streamable HTTP at /mcp, with sessions. */
export function serveStreamableHttp(port) {
  const sessions = new Map();

  async function open() {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await serveFixture(transport);
    return transport;
  }

  listen(port, async (req, res) => {
    const id = req.headers['mcp-session-id'];
    if (req.url !== '/mcp') refuse(res, 404, 'MCP is at /mcp');
    else if (id !== undefined && !sessions.has(id)) refuse(res, 404, 'There is no such session');
    else await (sessions.get(id) ?? (await open())).handleRequest(req, res);
  });
}

/** HTTP+SSE at /sse and /messages, as in revision 2024-11-05. */
export function serveSse(port) {
  const sessions = new Map();
  listen(port, async (req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://localhost');
    if (req.method === 'GET' && pathname === '/sse') {
      const transport = new SSEServerTransport('/messages', res);
      sessions.set(transport.sessionId, transport);
      res.on('close', () => sessions.delete(transport.sessionId));
      await serveFixture(transport);
    } else if (req.method === 'POST' && pathname === '/messages') {
      const transport = sessions.get(searchParams.get('sessionId'));
      if (transport) await transport.handlePostMessage(req, res);
      else refuse(res, 404, 'There is no such session');
    } else {
      refuse(res, 405, 'MCP is at GET /sse and POST /messages');
    }
  });
}

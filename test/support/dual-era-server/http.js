import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { networkInterfaces } from 'node:os';
import {
  hostHeaderValidation,
  NodeStreamableHTTPServerTransport,
  originValidation,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node';
import { createMcpHandler, isLegacyRequest } from '@modelcontextprotocol/server';
import { createDualEraServer } from './server.js';

const OWN_NAMES = [
  'localhost',
  '[::1]',
  ...Object.values(networkInterfaces()).flatMap((addresses) => addresses.map(({ address }) => address)),
];

async function bodyOf(req) {
  let body = '';
  for await (const chunk of req.setEncoding('utf8')) body += chunk;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function giveUp(res, error) {
  process.stderr.write(`fixture: ${error.stack}\n`);
  res.destroy();
}

/** Streamable HTTP at /mcp: with sessions for those who shake hands, without for revision 2026-07-28. */
export function serveHttp(port) {
  const sessions = new Map();
  const modern = createMcpHandler((context) => createDualEraServer(context, modern.notify), {
    legacy: 'reject',
  });
  const handleModern = toNodeHandler(modern);
  const isKnownHost = hostHeaderValidation(OWN_NAMES);
  const isKnownOrigin = originValidation(OWN_NAMES);

  async function open() {
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
      onsessionclosed: (id) => void sessions.delete(id),
    });
    await createDualEraServer({ era: 'legacy' }).connect(transport);
    return transport;
  }

  async function handle(req, res) {
    if (!isKnownHost(req, res) || !isKnownOrigin(req, res)) return;
    const body = req.method === 'POST' ? await bodyOf(req) : undefined;
    if (!(await isLegacyRequest(await toWebRequest(req, body), body))) {
      await handleModern(req, res, body);
      return;
    }
    const id = req.headers['mcp-session-id'];
    if (id !== undefined && !sessions.has(id)) {
      const error = { code: -32001, message: 'There is no such session' };
      res.writeHead(404, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
      return;
    }
    await (sessions.get(id) ?? (await open())).handleRequest(req, res, body);
  }

  const server = createServer((req, res) => void handle(req, res).catch((error) => giveUp(res, error)));
  // Whoever runs it in a container reaches it from outside.
  server.listen(port, '0.0.0.0', () => process.stderr.write(`fixture: listening on port ${port}\n`));
}

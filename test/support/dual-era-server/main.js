import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { createDualEraServer } from './server.js';

const [, , mode, port] = process.argv;
switch (mode) {
  case undefined:
    serveStdio((context) => createDualEraServer(context), { legacy: 'serve' });
    break;
  case '--modern-only':
    serveStdio((context) => createDualEraServer(context), { legacy: 'reject' });
    break;
  case '--http':
    // Most processes speak stdio and start faster without it.
    (await import('./http.js')).serveHttp(Number(port));
    break;
  default:
    process.stderr.write(`fixture: unknown mode ${mode}\n`);
    process.exitCode = 64;
}

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process, { env } from 'node:process';
import { Transform } from 'node:stream';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { serveFixture } from './server.js';

/** Room for messages larger than any the gateway lets through. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

/** Prints non-JSON around every message, as a server does whose libraries log to stdout. */
function withGarbage(output) {
  const noise = new Transform({
    transform(chunk, _encoding, done) {
      done(null, Buffer.concat([Buffer.from('npm warn not json\n'), chunk, Buffer.from('{"half":\n\n')]));
    },
  });
  noise.pipe(output);
  return noise;
}

async function serve(output) {
  await serveFixture(new StdioServerTransport(process.stdin, output, { maxBufferSize: MAX_MESSAGE_BYTES }));
}

function stayMute() {
  process.stderr.write('fixture: waiting for a database that never comes\n');
  process.stdin.resume();
}

/** Most processes speak stdio and start faster without the HTTP transports. */
const http = () => import('./http.js');

/** Serves the first process of the deployment, so that it starts, and leaves every later one mute. */
async function serveOnce() {
  const mark = join(env.HOME, 'served-once');
  if (existsSync(mark)) return stayMute();
  writeFileSync(mark, '');
  return serve(process.stdout);
}

const [, , mode, port] = process.argv;
switch (mode) {
  case undefined:
    await serve(process.stdout);
    break;
  case '--http':
    (await http()).serveStreamableHttp(Number(port));
    break;
  case '--sse':
    (await http()).serveSse(Number(port));
    break;
  case '--exit-at-start':
    process.stderr.write('fixture: the licence file is missing\nfixture: giving up\n');
    process.exitCode = 3;
    break;
  case '--mute':
    stayMute();
    break;
  case '--mute-later':
    await serveOnce();
    break;
  case '--garbage':
    await serve(withGarbage(process.stdout));
    break;
  default:
    process.stderr.write(`fixture: unknown mode ${mode}\n`);
    process.exitCode = 64;
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process, { env } from 'node:process';
import { inputs, text } from '../fixture-content/results.js';

const LABEL = { type: 'string' };
const KB = 1024;

/** Resolves when stdout, or stderr, has taken it. */
async function write(stream, chunk) {
  if (!stream.write(chunk)) await once(stream, 'drain');
}

function counterFile(label) {
  return join(env.HOME, `flood-${label.replaceAll(/\W/g, '_')}`);
}

const DEAF_CHILD = "process.on('SIGTERM', () => {}); process.stdin.resume(); setInterval(() => {}, 1000)";

/** Tools by which a server breaks the rules: of the protocol, of the pipe, and of an orderly end. */
export const faultTools = [
  {
    name: 'print',
    description: 'Writes these lines to stdout as they are',
    inputSchema: inputs({ lines: { type: 'array', items: { type: 'string' } } }),
    async run({ lines }) {
      await write(process.stdout, lines.map((line) => `${line}\n`).join(''));
      return text(`${lines.length} lines written`);
    },
  },
  {
    name: 'answer_twice',
    description: 'Answers "first", then answers the same request again',
    inputSchema: inputs(),
    async run(_args, { requestId }) {
      const answer = { jsonrpc: '2.0', id: requestId, result: text('first') };
      await write(process.stdout, `${JSON.stringify(answer)}\n`);
      return text('second');
    },
  },
  {
    name: 'endless_line',
    description: 'Writes a line that never ends',
    inputSchema: inputs(),
    async run() {
      for (;;) await write(process.stdout, 'x'.repeat(64 * KB));
    },
  },
  {
    name: 'flood',
    description: 'Logs messages of 1 KB for ever; `flood_count` tells how many were written',
    inputSchema: inputs({ label: LABEL }),
    async run({ label }) {
      const data = 'x'.repeat(KB);
      const params = { level: 'info', logger: label, data };
      const line = `${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params })}\n`;
      for (let count = 0; ; count += 16) {
        writeFileSync(counterFile(label), String(count));
        await write(process.stdout, line.repeat(16));
      }
    },
  },
  {
    name: 'flood_count',
    description: 'How many messages the flood of this label has written, in whatever process it runs',
    inputSchema: inputs({ label: LABEL }),
    run: ({ label }) => text(readFileSync(counterFile(label), 'utf8')),
  },
  {
    name: 'stderr_flood',
    description: 'Writes so many megabytes of lines to stderr',
    inputSchema: inputs({ megabytes: { type: 'integer', minimum: 0 } }),
    async run({ megabytes }) {
      const lines = `${'e'.repeat(KB - 1)}\n`.repeat(64);
      for (let i = 0; i < megabytes * 16; i++) await write(process.stderr, lines);
      return text(`${megabytes} MB written`);
    },
  },
  {
    name: 'deafen',
    description: 'From now on the end of stdin and SIGTERM mean nothing to this process',
    inputSchema: inputs(),
    run() {
      process.on('SIGTERM', () => {});
      setInterval(() => {}, 1000);
      return text('What?');
    },
  },
  {
    name: 'fork',
    description:
      'Starts two children that ignore SIGTERM, one in a session of its own; the label is in their arguments',
    inputSchema: inputs({ label: LABEL }),
    async run({ label }) {
      for (const detached of [false, true]) {
        const child = spawn(process.execPath, ['-e', DEAF_CHILD, label], { detached, stdio: 'ignore' });
        await once(child, 'spawn');
        child.unref();
      }
      return text('forked');
    },
  },
];

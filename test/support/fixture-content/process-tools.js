import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import process, { env } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { inputs, json, text } from './results.js';

function isWritable(directory) {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Tools about the process itself: what it is, how it ends, what it notices. */
export const processTools = [
  {
    name: 'whoami',
    description: 'Describes the server process',
    inputSchema: inputs(),
    run() {
      const directories = { home: env.HOME, tmp: tmpdir(), app: import.meta.dirname, root: '/' };
      return json({
        pid: process.pid,
        uid: process.getuid(),
        gid: process.getgid(),
        args: process.argv.slice(2),
        envNames: Object.keys(env).sort(),
        cwd: process.cwd(),
        home: env.HOME,
        writable: Object.keys(directories).filter((name) => isWritable(directories[name])),
      });
    },
  },
  {
    name: 'slow',
    description: 'Answers after some milliseconds; `cancellations` tells whether it was cancelled',
    inputSchema: inputs({ ms: { type: 'integer', minimum: 0 }, label: { type: 'string' } }),
    async run({ ms, label }, extra, session) {
      try {
        await delay(ms, undefined, { signal: extra.signal });
      } catch {
        session.cancelled.push(label);
      }
      return text(`${label} done`);
    },
  },
  {
    name: 'cancellations',
    description: 'The labels of the slow calls that were cancelled',
    inputSchema: inputs(),
    run: (_args, _extra, session) => json(session.cancelled),
  },
  {
    name: 'exit',
    description: 'Ends the process in the middle of the call',
    inputSchema: inputs({ code: { type: 'integer', minimum: 0, maximum: 255 } }),
    run: ({ code }) => process.exit(code),
  },
  {
    name: 'stderr',
    description: 'Writes lines to stderr',
    inputSchema: inputs({ lines: { type: 'array', items: { type: 'string' } } }),
    run({ lines }) {
      process.stderr.write(lines.map((line) => `${line}\n`).join(''));
      return text(`${lines.length} lines written`);
    },
  },
];

import { setTimeout as delay } from 'node:timers/promises';
import { log, reportProgress } from './notices.js';
import { inputs, json, text } from './results.js';

const LABEL = { type: 'string' };
const COUNT = { type: 'integer', minimum: 0 };

/** Tools that move data: answers and requests of any size, progress, log messages, changes. */
export const dataTools = [
  {
    name: 'echo',
    description: 'Returns the text it was given',
    inputSchema: inputs({ text: { type: 'string' } }),
    run: (args) => text(args.text),
  },
  {
    name: 'echo_bytes',
    description: 'Returns a text of n bytes, made of the numbers 0, 1, 2 … so that a hole in it shows',
    inputSchema: inputs({ n: COUNT }),
    run({ n }) {
      let numbers = '';
      for (let i = 0; numbers.length < n; i++) numbers += `${i} `;
      return text(numbers.slice(0, n));
    },
  },
  {
    name: 'progress',
    description: 'Sends n progress notifications that carry the label, gapMs apart',
    inputSchema: inputs({ n: COUNT, label: LABEL, gapMs: COUNT }, ['n', 'label']),
    async run({ n, label, gapMs = 0 }, extra) {
      for (let progress = 1; progress <= n; progress++) {
        if (gapMs > 0) await delay(gapMs);
        await reportProgress(extra, { progress, total: n, message: `${label} ${progress}` });
      }
      if (gapMs > 0) await delay(gapMs);
      return text(`${label} done`);
    },
  },
  {
    name: 'log',
    description: 'Logs n messages that carry the label',
    inputSchema: inputs({ n: COUNT, label: LABEL }),
    async run({ n, label }, extra) {
      for (let number = 1; number <= n; number++) {
        await log(extra, { label, number });
      }
      return text(`${label} logged`);
    },
  },
  {
    name: 'meta',
    description: 'Returns the _meta it was called with, and a field that no revision knows',
    inputSchema: inputs(),
    run: (_args, extra) => ({ ...text('meta'), _meta: extra['_meta'], future: 'yes' }),
  },
  {
    name: 'session_counter',
    description: 'Counts its calls; each server process begins at 1',
    inputSchema: inputs(),
    run: (_args, _extra, session) => json(++session.calls),
  },
  {
    name: 'add_tool',
    description: 'Adds a tool of this name and says that the list has changed; afterMs puts that off',
    inputSchema: inputs({ name: { type: 'string' }, afterMs: COUNT }, ['name']),
    async run({ name, afterMs }, extra, session) {
      const add = () =>
        session.addTool({ name, description: 'Added', inputSchema: inputs(), run: () => text(name) });
      if (afterMs === undefined) await add();
      else setTimeout(add, afterMs);
      return text(`${name} added`);
    },
  },
  {
    name: 'touch_resource',
    description: 'Says that the resource has changed, if the client watches it',
    inputSchema: inputs({ uri: { type: 'string' } }),
    async run({ uri }, _extra, session) {
      const isWatched = session.watched.has(uri);
      if (isWatched) await session.resourceChanged(uri);
      return json(isWatched);
    },
  },
];

import { afterEach, beforeEach, expect, it } from 'vitest';
import { LogGround } from '../../test/support/log-ground.js';
import { ScriptedProcess } from '../../test/support/scripted-process.js';
import { StdioChannel } from '../mcp/channels/stdio-channel.js';
import { LoggedProcess } from './logged-process.js';

let ground: LogGround;
let inner: ScriptedProcess;

beforeEach(() => {
  ground = new LogGround();
  inner = new ScriptedProcess();
});

afterEach(() => ground.dispose());

function nothing(): void {
  // Nobody listens.
}

async function logged(): Promise<string[]> {
  return (await ground.lines()).map(({ stream, text }) => `${stream} ${text}`);
}

it('a server on stdio keeps its conversation, and leaves its stderr and its garbage in the log', async () => {
  const log = ground.log.openProcess();
  const process = new LoggedProcess(inner, log, false);
  const channel = new StdioChannel(process, 1000, (line) => log.stdoutLine(line));
  const heard: string[] = [];
  const closed: string[] = [];
  channel.open({
    message: (message) => void heard.push(message.text),
    closed: ({ message }) => closed.push(message),
  });
  inner.complain('booting\n');
  inner.say('Listening!', { jsonrpc: '2.0', method: 'notifications/x' });
  inner.exit(3);
  expect(heard).toEqual(['{"jsonrpc":"2.0","method":"notifications/x"}']);
  expect(closed).toEqual(['The server exited with code 3. It said:\nbooting\nstdout: Listening!']);
  expect(await logged()).toEqual([
    'system The process started.',
    'stderr booting',
    'stdout Listening!',
    'system The process exited with code 3.',
  ]);
});

it('of a server that speaks elsewhere stdout is a log as well', async () => {
  const process = new LoggedProcess(inner, ground.log.openProcess(), true);
  const heard: string[] = [];
  const take = (chunk: Buffer): void => void heard.push(chunk.toString());
  process.attach({ stdout: take, stderr: take, drain: () => undefined, exit: () => undefined });
  inner.say('GET /mcp 200');
  inner.complain('careful\n');
  await process.end();
  inner.exit(143);
  expect(heard).toEqual(['GET /mcp 200\n', 'careful\n']);
  expect(await logged()).toEqual([
    'system The process started.',
    'stdout GET /mcp 200',
    'stderr careful',
    'system The process was ended and exited with code 143.',
  ]);
});

it('what nobody knows of its end is not invented', async () => {
  const process = new LoggedProcess(inner, ground.log.openProcess(), false);
  process.attach({ stdout: nothing, stderr: nothing, drain: nothing, exit: nothing });
  inner.exit(undefined);
  expect((await logged()).at(-1)).toBe(
    'system The process is gone, with its sandbox or the container engine.',
  );
});

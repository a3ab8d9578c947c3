import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Exchange, exchange } from '../../test/support/http-exchange.js';
import { Config } from '../config/config.js';
import { AppError } from '../errors/app-error.js';
import type { LogTailed, TailQuery } from './deployment-log.js';
import { LogStore } from './log-store.js';
import { LogStreams } from './log-streams.js';

const ID = 'dp_a';

let config: Config;
let store: LogStore;
let streams: LogStreams;
let server: Server;
let sockets: Socket[];
let written: number;
/** What the next stream asks for. */
let query: TailQuery;

beforeEach(async () => {
  config = Object.assign(new Config(), {
    dataDir: mkdtempSync(join(tmpdir(), 'mcp-runner-follow-')),
    logMaxBytesPerDeployment: 1024 * 1024,
  });
  store = new LogStore(config);
  streams = new LogStreams(store);
  streams.onModuleInit();
  sockets = [];
  written = 0;
  query = { tail: 100, since: undefined, process: undefined };
  server = createServer((req, res) => {
    try {
      const asked = { ...query };
      const lookBack = (): Promise<LogTailed> => store.get(ID).tail(asked);
      streams.serve({ tenantId: 'tn_a', id: ID }, { process: asked.process, lookBack }, req, res);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      res.writeHead(error.status).end(error.code);
    }
  });
  server.on('connection', (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  vi.spyOn(store.get(ID).budget, 'take').mockReturnValue(true);
});

afterEach(async () => {
  streams.beforeApplicationShutdown();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  await store.onApplicationShutdown();
  rmSync(config.dataDir, { recursive: true });
});

async function follow(lastEventId?: string): Promise<Exchange> {
  const { port } = server.address() as AddressInfo;
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const stream = await exchange(port, { method: 'GET', headers });
  return stream.until(() => stream.ended || stream.text.includes('\n\n'));
}

/** So many lines, numbered over the whole test, by a process of their own. On disk when it resolves. */
async function write(count = 1, bytes = 10): Promise<void> {
  const log = store.openProcess(ID);
  const portion = Math.ceil(100_000 / bytes);
  for (let left = count; left > 0; left -= portion) {
    const lines = Array.from(
      { length: Math.min(portion, left) },
      () => `${String(++written).padEnd(bytes, '.')}\n`,
    );
    log.stderr(Buffer.from(lines.join('')));
    await store.get(ID).flushed();
  }
}

function numbersIn(stream: Exchange): number[] {
  const lines = stream.messages.filter(({ stream: kind }) => kind === 'stderr');
  return lines.map(({ text }) => parseInt(String(text), 10));
}

function until(stream: Exchange, newest: number): Promise<Exchange> {
  return stream.until(() => stream.ended || numbersIn(stream).at(-1) === newest);
}

function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, n) => first + n);
}

describe('a client that follows a log', () => {
  it('gets the newest lines first and then each line once, in order, under the next id', async () => {
    await write(150);
    const stream = await follow();
    expect(stream.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    await write(1);
    await write(300);
    await until(stream, 451);
    expect(numbersIn(stream)).toEqual(upTo(451, 51));
    const ids = stream.events.filter(({ event }) => event === 'log').map(({ id }) => Number(id));
    expect(ids).toEqual(upTo(451, 51));
  });

  it('gets no lines of before where it wants none, and only those of the process it wants', async () => {
    await write(3);
    query = { ...query, tail: 0, process: 3 };
    const stream = await follow();
    await write(2);
    await write(2);
    await write(2);
    await until(stream, 7);
    expect(numbersIn(stream)).toEqual([6, 7]);
  });

  it('that comes back gets exactly what it missed, wherever its stream broke', async () => {
    await write(40);
    for (const last of [1, 17, 39]) {
      const stream = await follow(String(last));
      await until(stream, 40);
      expect(numbersIn(stream)).toEqual(upTo(40, last + 1));
      stream.leave();
    }
    const stream = await follow('40');
    await write(1);
    await until(stream, 41);
    expect(numbersIn(stream)).toEqual([41]);
  });

  it.each([
    ['whose log is empty', 0, { tail: 100 }],
    ['that wants no line of before', 5, { tail: 0 }],
    ['whose process has said nothing yet', 5, { tail: 100, process: 9 }],
  ])('%s knows its position all the same, and misses nothing when it comes back', async (_, lines, asked) => {
    await write(lines);
    query = { ...query, ...asked };
    const stream = await follow();
    await stream.until(() => stream.events.some(({ id }) => id !== undefined));
    expect(stream.messages).toEqual([]);
    stream.leave();
    await write(3);
    query = { ...query, process: undefined };
    const next = await follow(stream.events.at(-1)?.id);
    await until(next, lines + 3);
    expect(next.messages).toHaveLength(3);
  });

  it('and wants more than one read gives has it all', async () => {
    await write(2000, 300);
    query = { ...query, tail: 1500 };
    const stream = await follow();
    await until(stream, 2000);
    expect(numbersIn(stream)).toEqual(upTo(2000, 501));
  });

  it('comes back to the next service as well', async () => {
    await write(40);
    await store.onApplicationShutdown();
    store = new LogStore(config);
    streams.beforeApplicationShutdown();
    streams = new LogStreams(store);
    const stream = await follow('30');
    await until(stream, 40);
    expect(numbersIn(stream)).toEqual(upTo(40, 31));
  });

  it('is told how many lines it missed where they have left the log', async () => {
    await write(10);
    await write(8000, 200);
    const stream = await follow('5');
    await until(stream, 8010);
    const [reset, first] = stream.messages;
    expect(reset).toMatchObject({
      type: 'reset',
      message: expect.stringContaining('lines are missing') as string,
    });
    const missed = parseInt(String(reset?.['message']), 10);
    expect(parseInt(String(first?.['text']), 10)).toBe(5 + missed + 1);
    expect(numbersIn(stream)).toEqual(upTo(8010, 5 + missed + 1));
  });

  it.each(['12', 'rubbish', '-1', '99999999999999999999'])(
    'with the id %s, which no line has, begins anew and knows it',
    async (id) => {
      await write(10);
      const stream = await follow(id);
      await until(stream, 10);
      expect(stream.messages[0]).toMatchObject({ type: 'reset' });
      expect(numbersIn(stream)).toEqual(upTo(10));
    },
  );

  it('and does not read costs no memory, is told what it missed, and holds nobody back', async () => {
    const slow = await follow();
    slow.pause();
    const quick = await follow();
    for (let n = 0; n < 20; n++) {
      await write(1000, 1000);
      expect(sockets[0]?.writableLength).toBeLessThan(200_000);
    }
    await until(quick, 20_000);
    expect(numbersIn(quick)).toEqual(upTo(20_000));
    slow.resume();
    await until(slow, 20_000);
    const numbers = numbersIn(slow);
    const resets = slow.messages.filter(({ type }) => type === 'reset');
    expect(resets.length).toBeGreaterThan(0);
    const missed = resets.reduce((sum, { message }) => sum + parseInt(String(message), 10), 0);
    expect(numbers.length + missed).toBe(20_000);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  });

  it('is told when the deployment is deleted, and nobody follows it again', async () => {
    await write(1);
    const stream = await follow();
    await until(stream, 1);
    await store.remove(ID);
    await stream.whole();
    expect(stream.broken).toBe(false);
    expect(stream.messages.at(-1)).toMatchObject({ type: 'end' });
    expect(await (await follow()).whole()).toMatchObject({ status: 404, text: 'deployment_not_found' });
    expect(await store.list()).toEqual([]);
  });

  it('is one of 64, and ends whole with the service', async () => {
    const all = await Promise.all(Array.from({ length: 64 }, () => follow()));
    expect(await (await follow()).whole()).toMatchObject({ status: 503, text: 'event_streams_limit' });
    streams.beforeApplicationShutdown();
    for (const stream of all) expect((await stream.whole()).broken).toBe(false);
  });
});

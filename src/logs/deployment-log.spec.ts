import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LogGround } from '../../test/support/log-ground.js';
import { QueueRoom } from './queue-room.js';

const RESTARTED = 'The service was restarted. Processes of before do not run any more.';

let ground: LogGround;

beforeEach(() => {
  ground = new LogGround();
});

afterEach(async () => {
  vi.useRealTimers();
  await ground.dispose();
});

/** `count` lines of `bytes` bytes, numbered. */
function lines(count: number, bytes: number, first = 1): Buffer {
  const all = Array.from({ length: count }, (_, n) => `${String(first + n).padEnd(bytes - 1, '.')}\n`);
  return Buffer.from(all.join(''));
}

/** Many lines in portions that the queue and the budget take. */
async function write(count: number, bytes: number, first = 1): Promise<void> {
  const server = ground.log.openProcess();
  vi.spyOn(ground.log.budget, 'take').mockReturnValue(true);
  const portion = Math.ceil(100_000 / bytes);
  for (let done = 0; done < count; done += portion) {
    server.stderr(lines(Math.min(portion, count - done), bytes, first + done));
    await ground.log.flushed();
  }
}

const numbersOf = (texts: string[]): number[] => texts.map((text) => parseInt(text, 10));

describe('the log of a deployment', () => {
  it('has the lines of each process in order, with time, number, session and stream', async () => {
    const [first, second] = [ground.log.openProcess(), ground.log.openProcess()];
    first.started();
    first.stderr(Buffer.from('booting\nrea'));
    second.started();
    first.serve('s_1');
    first.stderr(Buffer.from('dy\n'));
    first.stdoutLine(Buffer.from('not JSON'));
    first.exited(3, false);
    second.exited(143, true);
    const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string;
    const about = (process: number, session: string | null, stream: string, text: string) =>
      expect.objectContaining({ at, process, session, stream, text }) as object;
    expect(await ground.lines()).toEqual([
      about(1, null, 'system', 'The process started.'),
      about(1, null, 'stderr', 'booting'),
      about(2, null, 'system', 'The process started.'),
      about(1, 's_1', 'system', 'The process serves this session.'),
      about(1, 's_1', 'stderr', 'ready'),
      about(1, 's_1', 'stdout', 'not JSON'),
      about(1, 's_1', 'system', 'The process exited with code 3.'),
      about(2, null, 'system', 'The process was ended and exited with code 143.'),
    ]);
    expect(await ground.texts({ process: 2 })).toHaveLength(2);
    expect(await ground.texts({ tail: 1 })).toEqual(['The process was ended and exited with code 143.']);
  });

  it('gives only lines since a time, and says whether older ones were asked for as well', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const server = ground.log.openProcess();
    for (const second of [0, 1, 2, 3]) {
      vi.setSystemTime(Date.UTC(2026, 0, 31, 12, 0, second));
      server.stderr(Buffer.from(`${second}\n`));
    }
    const query = { since: Date.UTC(2026, 0, 31, 12, 0, 2), process: undefined };
    expect(await ground.log.tail({ ...query, tail: 2 })).toMatchObject({ hasOlder: false, newest: 4 });
    expect(await ground.texts(query)).toEqual(['2', '3']);
    expect(await ground.log.tail({ ...query, tail: 1 })).toMatchObject({ hasOlder: true });
    expect(await ground.log.tail({ ...query, tail: 0 })).toMatchObject({ hasOlder: true, lines: [] });
  });

  it('keeps the newest lines within its bytes on disk, without a gap', async () => {
    await write(12_000, 200);
    expect(ground.bytes).toBeLessThanOrEqual(1024 * 1024);
    expect(ground.bytes).toBeGreaterThan(800 * 1024);
    const numbers = numbersOf(await ground.texts());
    expect(numbers).toEqual(numbers.map((_, n) => 12_000 - numbers.length + 1 + n));
    expect(numbers.length).toBeGreaterThan(2000);
  });

  it('gives 2 MB at most, and says that there is more', async () => {
    await ground.dispose();
    ground = new LogGround(16 * 1024 * 1024);
    await write(400, 8000);
    const { lines: found, hasOlder } = await ground.log.tail({
      tail: 10_000,
      since: undefined,
      process: undefined,
    });
    expect(found.length).toBeGreaterThan(200);
    expect(found.length).toBeLessThan(265);
    expect(hasOlder).toBe(true);
  });

  it('goes on with lines and processes where an earlier service ended, and says so', async () => {
    ground.log.openProcess().started();
    ground.log.openProcess().started();
    await ground.reopen();
    ground.log.openProcess().stderr(Buffer.from('again\n'));
    expect(await ground.lines()).toMatchObject([
      { seq: 1, process: 1 },
      { seq: 2, process: 2 },
      { seq: 3, process: null, text: RESTARTED },
      { seq: 4, process: 3, text: 'again' },
    ]);
    await ground.reopen();
    expect(await ground.texts()).toHaveLength(4);
  });

  it('fits into fewer bytes where a later service allows fewer', async () => {
    await ground.dispose();
    ground = new LogGround(16 * 1024 * 1024);
    await write(3000, 1000);
    await ground.reopen(1024 * 1024);
    await write(1, 10);
    expect(ground.bytes).toBeLessThanOrEqual(1024 * 1024);
    expect((await ground.texts()).at(-1)).toMatch(/^1\./);
  });

  it('answers also while lines do not stop coming', async () => {
    const server = ground.log.openProcess();
    const flood = setInterval(() => server.stderr(lines(5, 10)), 1);
    await expect.poll(() => ground.texts()).not.toEqual([]);
    for (let n = 0; n < 20; n++) await ground.texts({ tail: 1 });
    clearInterval(flood);
  });

  it('knows the number of the last process also where its lines are gone', async () => {
    ground.log.openProcess().started();
    ground.log.openProcess().started();
    const chatty = ground.log.openProcess();
    chatty.started();
    await ground.log.flushed();
    await write(12_000, 200);
    await ground.reopen();
    ground.log.openProcess().started();
    expect((await ground.lines()).at(-1)).toMatchObject({ process: 5 });
  });

  it.each([
    ['half a line', (file: string) => appendFileSync(file, '{"seq":3,"at":"2026-01-')],
    ['a line without its end', (file: string) => truncateSync(file, readFileSync(file).length - 1)],
  ])('drops %s at its end, which is what a kill in the middle of a write leaves', async (what, tear) => {
    const server = ground.log.openProcess();
    server.stderr(Buffer.from('one\ntwo\n'));
    await ground.log.flushed();
    tear(ground.files[0] ?? '');
    await ground.reopen();
    const whole = what === 'half a line' ? ['one', 'two'] : ['one'];
    expect(await ground.texts()).toEqual(whole);
    ground.log.openProcess().stderr(Buffer.from('three\n'));
    expect(await ground.texts()).toEqual([...whole, RESTARTED, 'three']);
    for (const line of ground.content.trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
  });

  it('passes over a segment without a head, and over lines that are none', async () => {
    ground.log.openProcess().stderr(Buffer.from('one\n'));
    await ground.log.flushed();
    writeFileSync(`${dirname(ground.files[0] ?? '')}/2.jsonl`, '{"seq":2,"proc');
    appendFileSync(ground.files[0] ?? '', 'rubbish\n{"seq":9}\n');
    await ground.reopen();
    ground.log.openProcess().stderr(Buffer.from('two\n'));
    expect(await ground.texts()).toEqual(['one', RESTARTED, 'two']);
  });

  it('is read and written at once without a line lost, doubled or cut', async () => {
    const writing = write(6000, 200);
    for (let newest = 0; newest < 6000;) {
      const numbers = numbersOf(await ground.texts());
      expect(numbers).toEqual(numbers.map((_, n) => (numbers[0] ?? 0) + n));
      newest = numbers.at(-1) ?? 0;
    }
    await writing;
  });
});

describe('a server that floods its log', () => {
  it('has its lines dropped, and the log says how many', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
    const server = ground.log.openProcess();
    for (let n = 0; n < 70; n++) server.stderr(lines(100, 10, n * 100));
    await ground.log.flushed();
    vi.advanceTimersByTime(1000);
    vi.useRealTimers();
    const all = await ground.texts();
    const kept = all.filter((text) => /^\d+\./.test(text)).length;
    expect(kept).toBeGreaterThan(2000);
    expect(kept).toBeLessThanOrEqual(5000);
    expect(all.at(-1)).toBe(
      `${7000 - kept} lines were dropped: the log takes 500 lines a second of a deployment, long ones count for more.`,
    );
  });

  it('pays for what is written: what has to be escaped is longer than it was', async () => {
    await ground.dispose();
    ground = new LogGround(16 * 1024 * 1024);
    vi.useFakeTimers({ toFake: ['Date'] });
    const server = ground.log.openProcess();
    for (let n = 0; n < 12; n++) {
      server.stderr(Buffer.from(`${'\x01'.repeat(1000)}\n`.repeat(100)));
      await ground.log.flushed();
    }
    const kept = ground.content.split('\n').filter((line) => line.includes('"stderr"'));
    expect(kept).toHaveLength(Math.floor(5000 / (6002 / 1024)));
  });

  it('leaves that count also when it exits right behind', async () => {
    const server = ground.log.openProcess();
    server.stderr(lines(6000, 10));
    await ground.log.flushed();
    server.exited(1, false);
    const all = await ground.texts({ tail: 2 });
    expect(all).toEqual([
      expect.stringMatching(/^\d+ lines were dropped/),
      'The process exited with code 1.',
    ]);
  });

  it('holds no more memory than the room that all logs have together', async () => {
    await ground.dispose();
    ground = new LogGround(1024 * 1024, new QueueRoom(10_000));
    const server = ground.log.openProcess();
    server.stderr(lines(1000, 10));
    await ground.log.flushed();
    const kept = (await ground.texts()).length;
    expect(kept).toBeGreaterThan(20);
    expect(kept).toBeLessThan(60);
    // What was written is given back.
    server.stderr(Buffer.from('later\n'));
    expect(await ground.texts({ tail: 1 })).toEqual(['later']);
  });
});

describe('a log that is removed', () => {
  it('leaves nothing, whatever its processes still say', async () => {
    const server = ground.log.openProcess();
    server.started();
    await ground.log.flushed();
    expect(existsSync(ground.folder)).toBe(true);
    server.stderr(lines(100, 100));
    const removing = ground.log.remove();
    server.stderr(lines(100, 100));
    await removing;
    server.exited(0, true);
    await ground.log.flushed();
    expect(existsSync(ground.folder)).toBe(false);
  });

  it('is removed again without complaint, and also where it never was', async () => {
    await ground.log.remove();
    mkdirSync(ground.folder);
    await ground.log.remove();
    expect(existsSync(ground.folder)).toBe(false);
  });
});

import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { tinyImage } from '../support/fixture-image.js';
import type { Exchange } from '../support/http-exchange.js';
import { type Deployment, Service } from '../support/service.js';
import { findLeftovers } from '../support/service-leftovers.js';
import { send } from '../support/sse-client.js';

const MB = 1024 * 1024;
/** The least that may be configured. */
const MAX_LOG_BYTES = MB;

interface Line {
  at: string;
  process: number | null;
  session: string | null;
  stream: string;
  text: string;
}

interface Stats {
  status: string;
  memory: { usedBytes: number | null; limitBytes: number };
  cpu: { usedSeconds: number | null; percent: number | null; windowMs: number | null; limit: number };
  pids: { used: number | null; limit: number | null };
  network: { receivedBytes: number | null; sentBytes: number | null };
  disk: { usedBytes: number | null; limitBytes: number };
  sessions: { active: number; limit: number };
  callsInFlight: number;
  lastWakeMs: number | null;
  awake: { because: string | null };
  missing: unknown[];
}

let service: Service;
let deployment: Deployment;
let failed: Deployment;
let client: RawClient;
let calls = 0;

beforeAll(async () => {
  const image = await tinyImage();
  service = await Service.start({ env: { LOG_MAX_BYTES_PER_DEPLOYMENT: String(MAX_LOG_BYTES) } });
  const { id } = await service.create({ image, args: ['--exit-at-start'] });
  deployment = await service.deploy({ image, pauseAfterSeconds: 3600 });
  failed = await service.settled(id);
  client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
  await client.open();
});

afterAll(() => service.stop());

async function call(tool: string, text: string): Promise<string> {
  return answerText(await client.call(++calls, tool, { text }));
}

async function linesOf(id: string, query = ''): Promise<Line[]> {
  const answer = await service.api<{ items: Line[] }>('GET', `/api/deployment/${id}/logs${query}`);
  expect(answer.status).toBe(200);
  return answer.body.items;
}

/** The newest line of this text, once it is there: stderr is not in step with answers. */
async function lineOf(text: string): Promise<Line> {
  const find = async (): Promise<Line | undefined> =>
    (await linesOf(deployment.id, '?tail=10000')).findLast((line) => line.text === text);
  await expect.poll(find, { timeout: 20_000 }).toBeDefined();
  return (await find()) as Line;
}

function follow(query: string, headers: Record<string, string> = {}): Promise<Exchange> {
  const path = `/api/deployment/${deployment.id}/logs?follow=true${query}`;
  return send(service.port, 'GET', path, { 'x-api-key': service.apiKey, ...headers });
}

async function statsOf(id: string): Promise<Stats> {
  return (await service.api<Stats>('GET', `/api/deployment/${id}/stats`)).body;
}

function logFiles(id: string): string[] {
  const folder = join(service.dataDir, 'logs', id);
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}

describe('the log of a deployment', () => {
  it('has what a server wrote to stderr, with time, process and a handle of the session', async () => {
    const before = Date.now();
    await call('say', 'first words');
    const line = await lineOf('first words');
    expect(line).toEqual({
      at: expect.any(String) as string,
      process: expect.any(Number) as number,
      session: expect.stringMatching(/^s_[0-9a-f]{12}$/) as string,
      stream: 'stderr',
      text: 'first words',
    });
    expect(Math.abs(Date.parse(line.at) - before)).toBeLessThan(20_000);
    const own = await linesOf(deployment.id, `?process=${line.process}`);
    expect(own.map(({ text }) => text)).toEqual([
      'The process started.',
      'The process serves this session.',
      'first words',
    ]);
    expect(JSON.stringify(await linesOf(deployment.id))).not.toContain(client.sessionId ?? 'no session');
    expect(await linesOf(deployment.id, '?tail=0')).toEqual([]);
    expect(await linesOf(deployment.id, `?process=${line.process}&since=${line.at}`)).toEqual([line]);
    const plain = await send(service.port, 'GET', `/api/deployment/${deployment.id}/logs`, {
      'x-api-key': service.apiKey,
      accept: 'text/plain',
    });
    expect((await plain.whole()).type).toBe('text/plain; charset=utf-8');
    expect(plain.text).toContain(`${line.at} ${line.process} ${line.session} stderr first words\n`);
  });

  it('is there for a server that failed to start, with its end', async () => {
    expect(failed.status).toBe('failed');
    const texts = (await linesOf(failed.id)).map(({ stream, text }) => `${stream} ${text}`);
    expect(texts).toContain('stderr tiny: giving up');
    expect(texts).toContain('system The process exited with code 3.');
  });

  it('can be followed live, and from where a client left', async () => {
    const live = await follow('&tail=1');
    await call('say', 'second words');
    await live.until(() => live.ended || live.text.includes('"second words"'));
    const { id = '' } = live.events.findLast(({ data }) => data?.includes('second words')) ?? {};
    live.leave();
    await call('say', 'third words');
    await lineOf('third words');
    const again = await follow('', { 'last-event-id': id });
    await again.until(() => again.ended || again.messages.length > 0);
    expect(again.messages[0]).toMatchObject({ stream: 'stderr', text: 'third words' });
    again.leave();
  });

  it.each([
    ['tail=10001', 'tail must be a whole number of lines from 0 to 10000'],
    ['since=yesterday', 'since must be an ISO 8601 time'],
    ['since=2026-01-31T12:00:00', 'since must be an ISO 8601 time with its zone'],
    ['follow=1', 'follow must be true or false'],
    ['process=0', 'process must be'],
    ['lines=5', 'lines is not a field of this request'],
  ])('refuses %s', async (query, detail) => {
    const answer = await service.api('GET', `/api/deployment/${deployment.id}/logs?${query}`);
    expect(answer).toMatchObject({
      status: 422,
      body: { detail: expect.stringContaining(detail) as string },
    });
  });

  it('is unknown where the deployment is', async () => {
    for (const what of ['logs', 'logs?follow=true', 'stats']) {
      const answer = await service.api('GET', `/api/deployment/dp_none/${what}`);
      expect(answer).toMatchObject({ status: 404, body: { code: 'deployment_not_found' } });
    }
  });
});

describe('the numbers of a deployment', () => {
  it('are true while it runs', async () => {
    const before = await statsOf(deployment.id);
    expect(before).toMatchObject({
      status: 'running',
      memory: { limitBytes: 512 * MB },
      cpu: { limit: 1 },
      disk: { limitBytes: 1024 * MB },
      sessions: { active: 1, limit: 16 },
      callsInFlight: 0,
      awake: { because: 'recently_used' },
      missing: [],
    });
    // What is in a temporary folder is in memory, and what is in HOME is on the disk.
    await call('fill', '100 /tmp/hundred');
    await call('fill', '20 /home/mcp/twenty');
    const after = await statsOf(deployment.id);
    const grown = (after.memory.usedBytes ?? 0) - (before.memory.usedBytes ?? 0);
    expect(before.memory.usedBytes).toBeGreaterThan(5 * MB);
    expect(grown).toBeGreaterThan(95 * MB);
    expect(grown).toBeLessThan(150 * MB);
    const written = (after.disk.usedBytes ?? 0) - (before.disk.usedBytes ?? 0);
    expect(written).toBeGreaterThan(19 * MB);
    expect(written).toBeLessThan(25 * MB);
    expect(after.cpu.usedSeconds).toBeGreaterThan(before.cpu.usedSeconds ?? Infinity);
    expect(after.cpu.windowMs).toBeGreaterThan(100);
    expect(after.cpu.percent).toBeGreaterThanOrEqual(0);
    expect(after.pids.used).toBeGreaterThan(2);
    expect(after.pids.limit).toBe(256 + 128);
    expect(after.network.receivedBytes).toEqual(expect.any(Number));
    const leave = new AbortController();
    const silence = client.call(++calls, 'silence', {}, { signal: leave.signal }).catch(() => undefined);
    await expect
      .poll(() => statsOf(deployment.id))
      .toMatchObject({ callsInFlight: 1, awake: { because: 'call_in_flight' } });
    await client.post({
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { requestId: calls, reason: 'enough' },
    });
    leave.abort();
    await silence;
  });

  it('are not invented for one that failed', async () => {
    expect(await statsOf(failed.id)).toMatchObject({
      status: 'failed',
      memory: { usedBytes: null },
      cpu: { usedSeconds: null, percent: null },
      pids: { used: null, limit: null },
      network: { receivedBytes: null, sentBytes: null },
      disk: { usedBytes: null },
      awake: { because: null },
      missing: [],
    });
  });
});

describe('the sessions of a deployment', () => {
  it('can be listed without their ids, and ended', async () => {
    const path = `/api/deployment/${deployment.id}/session`;
    const list = async (): Promise<{ id: string; hasProcess: boolean }[]> =>
      (await service.api<{ items: { id: string; hasProcess: boolean }[] }>('GET', path)).body.items;
    const other = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await other.open();
    const [first, second] = await list();
    expect(first).toMatchObject({ id: (await lineOf('first words')).session, hasProcess: true });
    expect((await service.api('DELETE', `${path}/${second?.id}`)).status).toBe(204);
    expect(await list()).toHaveLength(1);
    expect((await other.call(1, 'echo', { text: 'x' })).status).toBe(404);
    expect(await call('echo', 'still here')).toBe('still here');
    const again = await service.api('DELETE', `${path}/${second?.id}`);
    expect(again).toMatchObject({ status: 404, body: { code: 'session_not_found' } });
  });
});

describe('what is kept', () => {
  it('survives a pause and the death of the service, and is not invented meanwhile', async () => {
    const paused = await service.api('POST', `/api/deployment/${deployment.id}/pause?wait=60`);
    expect(paused.body).toMatchObject({ status: 'paused' });
    const before = await linesOf(deployment.id, '?tail=10000');
    const ended = before.findLast(({ process }) => process === before[0]?.process);
    expect(ended?.text).toMatch(/^The process was ended and exited/);
    await service.kill();
    await service.restart();
    expect(await linesOf(deployment.id, '?tail=10000')).toEqual(before);
    const stats = await statsOf(deployment.id);
    expect(stats).toMatchObject({ status: 'paused', memory: { usedBytes: null }, pids: { used: null } });
    expect(stats).toMatchObject({
      sessions: { active: 0 },
      lastWakeMs: null,
      awake: { because: null },
      missing: [],
    });
    expect(stats.disk.usedBytes).toBeGreaterThan(19 * MB);
    await call('say', 'awake again');
    const { process, session } = await lineOf('awake again');
    expect(process).toBeGreaterThan(Math.max(...before.map((line) => line.process ?? 0)));
    // The same session under the same handle.
    expect(session).toBe(before.find((line) => line.text === 'first words')?.session);
    expect((await statsOf(deployment.id)).lastWakeMs).toBeGreaterThan(0);
  });

  it('is bounded on disk, however much a server writes, and says what was dropped', async () => {
    await call('flood', `4000 ${'x'.repeat(500)}`);
    await call('flood', `20000 ${'y'.repeat(50)}`);
    const dropped = async (): Promise<boolean> =>
      (await linesOf(deployment.id, '?tail=10000')).some(({ text }) => /^\d+ lines were dropped/.test(text));
    await expect.poll(dropped, { timeout: 20_000 }).toBe(true);
    const sizes = logFiles(deployment.id).map((file) => statSync(file).size);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeLessThanOrEqual(MAX_LOG_BYTES);
    expect(bytes).toBeGreaterThan(MAX_LOG_BYTES / 2);
    expect((await linesOf(deployment.id, '?tail=10000')).some(({ text }) => text === 'first words')).toBe(
      false,
    );
    // The data path did not notice.
    expect(await call('echo', 'still here')).toBe('still here');
  });

  it('goes with the deployment, and those who follow it are told', async () => {
    const stream = await follow('&tail=0');
    await service.delete(deployment.id);
    await stream.whole();
    expect(stream.broken).toBe(false);
    expect(stream.messages.at(-1)).toMatchObject({ type: 'end', message: 'The deployment was deleted.' });
    await service.delete(failed.id);
    expect(logFiles(deployment.id)).toEqual([]);
    expect(await findLeftovers(service, [deployment, failed])).toEqual([]);
  });
});

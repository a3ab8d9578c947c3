import express, { type NextFunction, type Request, type Response } from 'express';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DeploymentsFixture } from '../../test/support/deployments-fixture.js';
import { AppError } from '../errors/app-error.js';
import { LogStreams } from '../logs/log-streams.js';
import { DEFAULT_TENANT_ID as TENANT } from '../tenancy/principal.js';
import { DeploymentLogs } from './deployment-logs.js';
import { ReadLogsDto } from './read-logs.dto.js';

let fixture: DeploymentsFixture;
let server: Server;

/** `x-tenant` says who asks. */
function serve(logs: DeploymentLogs): Promise<Server> {
  const app = express();
  app.get('/:id', (req, res) => {
    const asked = Object.assign(new ReadLogsDto(), req.query);
    return logs.serve(req.get('x-tenant') ?? TENANT, req.params.id, asked, { req, res });
  });
  app.use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
    if (error instanceof AppError) res.status(error.status).send(error.code);
    else next(error);
  });
  return new Promise((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
}

async function read(
  id: string,
  headers: Record<string, string> = {},
  query = '',
  signal: AbortSignal | null = null,
): Promise<globalThis.Response> {
  const { port } = server.address() as AddressInfo;
  return fetch(`http://127.0.0.1:${port}/${id}${query}`, { headers, signal });
}

function say(id: string, text: string): void {
  fixture.logs.openProcess(id).stderr(Buffer.from(`${text}\n`));
}

function folderOf(id: string): string {
  return join(fixture.config.dataDir, 'logs', id);
}

beforeEach(async () => {
  fixture = new DeploymentsFixture();
  const streams = new LogStreams(fixture.logs);
  server = await serve(new DeploymentLogs(fixture.service, fixture.logs, streams));
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await fixture.dispose();
});

describe('the log of a deployment', () => {
  it('is there in every status', async () => {
    for (const status of ['pending', 'starting', 'running', 'pausing', 'paused', 'failed'] as const) {
      const { id } = fixture.rowIn(status);
      say(id, 'words');
      const answer = await read(id);
      expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
      const line = {
        process: 1,
        session: null,
        stream: 'stderr',
        text: 'words',
        at: expect.any(String) as string,
      };
      expect(await answer.json()).toEqual({ items: [line], hasOlder: false });
    }
  });

  it('is empty where nothing was said, and makes no file', async () => {
    const { id } = fixture.rowIn('paused');
    expect(await (await read(id)).json()).toEqual({ items: [], hasOlder: false });
    expect(existsSync(folderOf(id))).toBe(false);
  });

  it('does not exist for another tenant, followed or not', async () => {
    const { id } = fixture.rowIn('running');
    say(id, 'words');
    for (const query of ['', '?follow=true']) {
      const answer = await read(id, { 'x-tenant': 'tn_other' }, query);
      expect([answer.status, await answer.text()]).toEqual([404, 'deployment_not_found']);
    }
  });

  it('is text for who asks for it, and JSON for who takes anything; neither holds what a terminal acts on', async () => {
    const { id } = fixture.rowIn('running');
    say(id, '\x1b[31mred\x9b0m');
    const plain = await read(id, { accept: 'text/plain' });
    expect(plain.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await plain.text()).toMatch(/^\S+Z 1 - stderr \\u001b\[31mred\\u009b0m\n$/);
    for (const accept of ['*/*', 'application/json, text/plain', 'text/html', 'text/event-stream']) {
      const json = await (await read(id, { accept })).text();
      expect(json).toContain(String.raw`\u001b[31mred\u009b0m`);
    }
  });
});

describe('looking back into a log', () => {
  it('is done by few at a time, whether they follow it or not, and not for those who have left', async () => {
    const { id } = fixture.rowIn('running');
    const log = fixture.logs.get(id);
    const goOn: (() => void)[] = [];
    vi.spyOn(log, 'tail').mockImplementation(async () => {
      await new Promise<void>((resolve) => goOn.push(resolve));
      return { lines: [], hasOlder: false, newest: 0 };
    });
    const leaving = new AbortController();
    const follow = (): Promise<unknown> => read(id, {}, '?follow=true', leaving.signal);
    await Promise.all([follow(), follow(), follow(), follow(), follow(), follow()]);
    const plain = read(id);
    expect(goOn).toHaveLength(4);
    leaving.abort();
    await expect.poll(() => [...fixture.logs.get(id)['watchers']]).toEqual([]);
    goOn[0]?.();
    await expect.poll(() => goOn.length).toBe(5);
    goOn[4]?.();
    expect((await plain).status).toBe(200);
    for (const each of goOn) each();
  });
});

describe('a deployment that is deleted', () => {
  it('takes its log with it, also what is said meanwhile', async () => {
    const { id } = await fixture.running();
    say(id, 'words');
    await fixture.logs.get(id).flushed();
    expect(existsSync(folderOf(id))).toBe(true);
    const late = fixture.logs.openProcess(id);
    await fixture.service.delete(TENANT, id);
    late.stderr(Buffer.from('late\n'));
    fixture.logs.openProcess(id).started();
    await fixture.logs.onApplicationShutdown();
    expect(existsSync(folderOf(id))).toBe(false);
    expect((await read(id)).status).toBe(404);
  });

  it('leaves no log of one that never ran', async () => {
    const { id } = fixture.create({ autoStart: false });
    say(id, 'words');
    await fixture.logs.get(id).flushed();
    await fixture.service.delete(TENANT, id);
    expect(await fixture.logs.list()).toEqual([]);
  });
});

it('logs of which no row speaks are removed at the start, and the others are not', async () => {
  const { id } = fixture.rowIn('paused');
  const orphan = `dp_${'f'.repeat(32)}`;
  for (const one of [id, orphan]) {
    mkdirSync(folderOf(one), { recursive: true });
    writeFileSync(join(folderOf(one), '1.jsonl'), '{"seq":1,"processes":0}\n');
  }
  await fixture.reconciler.onApplicationBootstrap();
  await expect.poll(() => existsSync(folderOf(orphan))).toBe(false);
  expect(existsSync(join(folderOf(id), '1.jsonl'))).toBe(true);
  rmSync(folderOf(id), { recursive: true });
});

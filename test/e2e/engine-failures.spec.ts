import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { PrivateEngine } from '../support/private-engine.js';
import { type Deployment, Service } from '../support/service.js';

const run = promisify(execFile);
const AWAY_MS = 15_000;
const HEAL_MS = 60_000;

interface Health {
  status: string;
  checks: { name: string; ok: boolean; message: string }[];
}

describe('a service whose engine fails', () => {
  let engine: PrivateEngine;
  let service: Service;
  let image: string;
  let deployment: Deployment;
  let client: RawClient;
  let calls = 0;

  beforeAll(async () => {
    image = await fixtureImage();
    engine = await PrivateEngine.create();
    await engine.load(image);
    service = await Service.start({ env: { DOCKER_SOCKET: engine.socket } });
    deployment = await service.deploy({ image, startTimeoutSeconds: 10 });
    client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await client.open();
  });

  afterAll(async () => {
    await service.stop();
    await engine.dispose();
  });

  async function health(): Promise<Health> {
    return (await (await fetch(`${service.origin}/health`)).json()) as Health;
  }

  /** The same session answers, at the latest after a while. Until then each call gets an answer that says why not. */
  async function callAgain(): Promise<void> {
    const { sessionId } = client;
    for (const until = Date.now() + HEAL_MS; ; await delay(200)) {
      const text = `call ${++calls}`;
      const answer = await client.call(calls, 'echo', { text });
      const last = answer.messages.at(-1);
      if (last?.result) {
        expect(answerText(answer)).toBe(text);
        expect(client.sessionId).toBe(sessionId);
        return;
      }
      expect(last).toMatchObject({ id: calls, error: { message: expect.stringMatching(/\w/) as string } });
      expect([200, 502, 503, 504]).toContain(answer.status);
      if (Date.now() > until) throw new Error(`No answer after ${HEAL_MS} ms: ${JSON.stringify(last)}`);
    }
  }

  it('goes on by itself after a restart of the engine, and so does an open session', async () => {
    await callAgain();
    await engine.stop();
    await engine.start();
    await callAgain();
    await expect.poll(async () => (await health()).status, { timeout: HEAL_MS }).toBe('ok');
  }, 180_000);

  it('goes on by itself after the engine was killed', async () => {
    await engine.kill();
    await engine.start();
    await callAgain();
  }, 180_000);

  it('says so in /health and in the reason while the engine is away, refuses at once, and heals when it is back', async () => {
    await engine.stop();
    await expect
      .poll(async () => (await health()).checks.find(({ name }) => name === 'engine')?.ok)
      .toBe(false);
    const { id } = await service.create({ image });
    await expect
      .poll(async () => (await service.get(id)).statusReason.code, { timeout: 20_000 })
      .toBe('runtime_unavailable');
    // A request waits for its deployment, but no queue grows behind the engine: what asks it is refused at once.
    const { status } = await client.call(
      'away',
      'echo',
      { text: 'x' },
      { signal: AbortSignal.timeout(80_000) },
    );
    expect([502, 503]).toContain(status);
    expect((await service.get(deployment.id)).statusReason.code).toBe('runtime_unavailable');
    await engine.start();
    await callAgain();
    expect((await service.settled(id)).status).toBe('running');
    expect((await service.get(deployment.id)).statusReason.code).toBe('ready');
    await service.delete(id);
  }, 240_000);

  it('gets over an engine that hangs for a while', async () => {
    engine.freeze();
    await delay(AWAY_MS);
    expect((await health()).checks.find(({ name }) => name === 'engine')?.ok).toBe(false);
    engine.thaw();
    await callAgain();
    await expect.poll(async () => (await health()).status, { timeout: HEAL_MS }).toBe('ok');
  }, 180_000);

  it('waits for room on a full disk, and says so', async () => {
    await service.api('POST', `/api/deployment/${deployment.id}/pause?wait=60`);
    const filler = join(engine.dataRoot, 'filler');
    await run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=1M']).catch(() => undefined);
    const { status } = await client.call(
      'full',
      'echo',
      { text: 'x' },
      { signal: AbortSignal.timeout(80_000) },
    );
    expect(status).toBe(503);
    // In between it tries again, and says that.
    const reason = async (): Promise<string> => (await service.get(deployment.id)).statusReason.code;
    await expect.poll(reason, { timeout: HEAL_MS }).toBe('disk_full');
    await rm(filler);
    await callAgain();
  }, 240_000);
});

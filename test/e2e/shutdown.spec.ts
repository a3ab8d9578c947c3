import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerText, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

const SHORT_MS = 4000;
const LONG_MS = 60_000;

describe('SIGTERM', () => {
  let service: Service;
  let deployment: Deployment;
  let client: RawClient;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    deployment = await service.deploy({ image, access: 'public' });
    client = new RawClient(deployment.urls.mcp);
    await client.open();
  });

  afterAll(() => service.stop());

  /** Settles when a call of `ms` is with its server. */
  async function calling(ms: number): Promise<{ answer: ReturnType<RawClient['call']> }> {
    const answer = client.call(1, 'slow', { ms, label: 'slow' }, { progressToken: 1 });
    answer.catch(() => undefined);
    await expect.poll(async () => answerText(await client.call(2, 'echo', { text: 'there' }))).toBe('there');
    return { answer };
  }

  it('lets calls in flight end, refuses new ones with 503 and when to come again, and leaves sandboxes running', async () => {
    const before = (await service.get(deployment.id)).sandbox.containerId;
    const { answer } = await calling(SHORT_MS);
    const restarted = service.restart();
    await expect
      .poll(async () => {
        const { status, headers } = await client.post({ jsonrpc: '2.0', id: 3, method: 'ping' });
        return [status, headers.get('retry-after')];
      })
      .toEqual([503, '5']);
    expect(answerText(await answer)).toBe('slow done');
    await restarted;
    expect(answerText(await client.call(4, 'echo', { text: 'after' }))).toBe('after');
    expect((await service.get(deployment.id)).sandbox.containerId).toBe(before);
  });

  it('answers calls that would take longer than 20 s with an error that says why', async () => {
    const { answer } = await calling(LONG_MS);
    const begun = Date.now();
    await service.restart();
    expect(Date.now() - begun).toBeLessThan(LONG_MS);
    expect((await answer).messages.at(-1)).toMatchObject({
      id: 1,
      error: { data: { code: 'server_stopped' } },
    });
    expect(answerText(await client.call(5, 'echo', { text: 'after' }))).toBe('after');
  });
});

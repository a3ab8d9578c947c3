import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callText, tokenOf, withClient } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

describe('a server that misbehaves', () => {
  let service: Service;
  let deployment: Deployment;
  let noisy: Deployment;

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    [deployment, noisy] = await Promise.all([
      service.deploy({ image }),
      service.deploy({ image, args: ['--garbage'] }),
    ]);
  });

  afterAll(() => service.stop());

  async function session(): Promise<RawClient> {
    const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await client.open();
    return client;
  }

  it('every call in flight when it exits fails at once, with its exit code and its last words', async () => {
    const client = await session();
    await client.call(1, 'stderr', { lines: ['fixture: out of cheese'] });
    const pending = [1, 2].map((id) => client.call(id, 'slow', { ms: 60_000, label: 'pending' }));
    await client.call(3, 'session_counter');
    const answers = await Promise.all([client.call(4, 'exit', { code: 7 }), ...pending]);
    expect(answers.map(({ messages }) => messages.at(-1)?.id)).toEqual([4, 1, 2]);
    for (const { messages } of answers) {
      expect(messages.at(-1)?.error?.message).toMatch(/exited with code 7[^]*out of cheese/);
    }
  });

  it('one that exits takes only its own session with it', async () => {
    const [dying, other] = await Promise.all([session(), session()]);
    expect(answerText(await other.call(1, 'session_counter'))).toBe('1');
    await dying.call(1, 'exit', { code: 0 });
    expect(answerText(await other.call(1, 'session_counter'))).toBe('2');
    expect((await service.get(deployment.id)).status).toBe('running');
    const next = await session();
    expect(answerText(await next.call(1, 'session_counter'))).toBe('1');
    await Promise.all([other.end(), next.end()]);
  });

  it('one that exits again and again does not wear out the deployment', async () => {
    for (let i = 0; i < 20; i++) await (await session()).call(1, 'exit', { code: 1 });
    const text = await withClient(deployment, (client) => callText(client, 'echo', { text: 'still here' }));
    expect(text).toBe('still here');
  });

  it('one that prints other things to stdout is understood all the same', async () => {
    await withClient(noisy, async (client) => {
      expect((await client.listTools()).tools.length).toBeGreaterThan(10);
      const text = 'x'.repeat(100_000);
      expect(await callText(client, 'echo', { text })).toBe(text);
    });
  });
});

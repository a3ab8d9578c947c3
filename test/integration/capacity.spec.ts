import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

let service: Service;
let image: string;

beforeAll(async () => {
  image = await fixtureImage();
  service = await Service.start({ env: { MAX_RUNNING: '1' } });
});

afterAll(() => service.stop());

describe('a deployment that finds no room', () => {
  it('says so, waits, and runs as soon as there is some, with the requests that waited for it', async () => {
    const first = await service.deploy({ image });
    const second = await service.create({ image });
    await expect
      .poll(() => service.get(second.id))
      .toMatchObject({
        status: 'pending',
        statusReason: {
          code: 'capacity_exhausted',
          message: 'Waiting for room: 1 of 1 deployments run (MAX_RUNNING).',
        },
      });
    const client = new RawClient(second.urls.mcp, tokenOf(second));
    const opening = client.open();
    await service.api<Deployment>('POST', `/api/deployment/${first.id}/pause`);
    await opening;
    expect(answerText(await client.call(2, 'echo', { text: 'here' }))).toBe('here');
    expect((await service.get(first.id)).status).toBe('paused');
    await Promise.all([first, second].map(({ id }) => service.delete(id)));
  });

  it('has its clients told why, when there is none in time', async () => {
    const first = await service.deploy({ image });
    const second = await service.create({ image, startTimeoutSeconds: 1 });
    const answer = await new RawClient(second.urls.mcp, tokenOf(second)).post({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'raw', version: '1.0.0' },
      },
    });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
    expect(JSON.stringify(answer.messages)).toContain('1 of 1 deployments run (MAX_RUNNING)');
    await Promise.all([first, second].map(({ id }) => service.delete(id)));
  });
});

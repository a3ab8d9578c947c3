import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { type Answer, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Exchange } from '../support/http-exchange.js';
import { Service } from '../support/service.js';
import { send } from '../support/sse-client.js';

let service: Service;
let events: Exchange;

beforeAll(async () => {
  service = await Service.start();
  events = await send(service.port, 'GET', '/api/event', { 'x-api-key': service.apiKey });
});

afterAll(async () => {
  events.leave();
  await service.stop();
});

function crashes(): unknown[] {
  return events.events
    .filter(({ event }) => event === 'crash')
    .map(({ data = '' }) => JSON.parse(data) as unknown);
}

it('a server that exits again and again is started later each time, and has failed in the end', async () => {
  const image = await fixtureImage();
  const deployment = await service.deploy({ image, warmProcesses: 0 });
  const { id } = deployment;
  const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
  await client.open();

  const refused: Answer[] = [];
  for (let count = 1; count <= 5; count += 1) {
    // Refused while it has to wait; otherwise the process ends in the middle of the call.
    await expect
      .poll(
        async () => {
          const answer = await client.call(count, 'exit', { code: 3 });
          if (JSON.stringify(answer.messages).includes('It is started again in')) refused.push(answer);
          return crashes().length;
        },
        { interval: 200, timeout: 15_000 },
      )
      .toBe(count);
    if (count === 5) break;
    expect(await service.get(id)).toMatchObject({
      status: 'running',
      statusReason: { code: 'server_exited', message: expect.stringMatching(/code 3/) as string },
    });
  }
  const reported = [0.5, 1, 2, 4, 8].map((retryInSeconds, index) =>
    expect.objectContaining({ deploymentId: id, code: 'server_exited', failures: index + 1, retryInSeconds }),
  );
  expect(crashes()).toEqual(reported);
  expect(refused.length).toBeGreaterThan(0);

  await expect
    .poll(() => service.get(id))
    .toMatchObject({
      status: 'failed',
      statusReason: {
        code: 'server_exited',
        message: expect.stringMatching(/^It ended by itself 5 times in a row\. .*code 3/s) as string,
      },
      sandbox: { containerId: null },
    });

  const { body } = await service.api('POST', `/api/deployment/${id}/start?wait=60`);
  expect(body).toMatchObject({ status: 'running', statusReason: { code: 'ready' } });
  expect((await client.call(9, 'echo', { text: 'again' })).status).toBe(200);
});

describe('a request while it has to wait', () => {
  it('is told when to come again, with the last words', async () => {
    const image = await fixtureImage();
    const deployment = await service.deploy({ image, warmProcesses: 0 });
    const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await client.open();
    const before = crashes().length;
    for (let count = 1; count <= 3; count += 1) {
      await client.call(count, 'exit', { code: 3 });
      await expect.poll(() => crashes().length).toBe(before + count);
    }
    const answer = await new RawClient(deployment.urls.mcp, tokenOf(deployment)).post({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: {
        protocolVersion: '2025-11-25',
        capabilities: {},
        clientInfo: { name: 'raw', version: '1.0.0' },
      },
    });
    expect(answer.status).toBe(502);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(JSON.stringify(answer.messages)).toMatch(
      /It is started again in \d s, after 3 crashes in a row.*code 3/,
    );
  });
});

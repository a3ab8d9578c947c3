import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callText, withClient } from '../support/client.js';
import { npmImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';

const run = promisify(execFile);

/** As they stand in the README; only the port is another one. */
const CREATE = String.raw`curl -X POST http://localhost:3000/api/deployment \
  -H "Content-Type: application/json" \
  -H "X-API-Key: your-api-key" \
  -d '{
    "image": "mcp/sequentialthinking:latest",
    "transport": {
      "type": "stdio"
    },
    "maxMemory": 512,
    "maxCpus": 1,
    "deleteAfterSeconds": 3600
  }'`;
const LIST = 'curl -H "X-API-Key: your-api-key" http://localhost:3000/api/deployment';
const IMAGE = 'mcp/sequentialthinking:latest';

describe('the commands of the README, word for word', () => {
  let service: Service;
  let isOurTag = false;
  let created: Deployment;

  beforeAll(async () => {
    // No registry need answer: the image of that name is the same server, made here.
    const image = await npmImage('@modelcontextprotocol/server-sequential-thinking@2026.8.31');
    isOurTag = await run('docker', ['image', 'inspect', IMAGE]).then(
      () => false,
      () => true,
    );
    if (isOurTag) await run('docker', ['tag', image, IMAGE]);
    service = await Service.start({ apiKey: 'your-api-key' });
  });

  afterAll(async () => {
    await service.stop();
    if (isOurTag) await run('docker', ['rmi', IMAGE]);
  });

  async function paste(command: string): Promise<unknown> {
    const { stdout } = await run('bash', [
      '-c',
      command.replace('localhost:3000', `localhost:${service.port}`),
    ]);
    return JSON.parse(stdout);
  }

  it('a deployment is created', async () => {
    created = (await paste(CREATE)) as Deployment;
    expect(created).toMatchObject({ image: IMAGE, status: 'pending', maxMemory: 512, maxCpus: 1 });
    expect(created.urls.mcp).toContain(created.id);
  });

  it('a client connects at once to the URL in the answer, and calls a tool', async () => {
    const thought = { thought: 'It works', nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 };
    const text = await withClient(created, (client) => callText(client, 'sequentialthinking', thought));
    expect(JSON.parse(text)).toMatchObject({ thoughtHistoryLength: 1 });
  });

  it('deployments are listed', async () => {
    const list = (await paste(LIST)) as { items: Deployment[] };
    expect(list.items).toMatchObject([{ id: created.id, status: 'running' }]);
    expect(list.items[0]).not.toHaveProperty('accessToken');
  });
});

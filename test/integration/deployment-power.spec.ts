import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtureImage } from '../support/fixture-image.js';
import { type ApiAnswer, type Deployment, Service } from '../support/service.js';

interface Problem {
  code: string;
  detail?: string;
}

let service: Service;
let image: string;

beforeAll(async () => {
  image = await fixtureImage();
  service = await Service.start();
});

afterAll(() => service.stop());

function power<T = Deployment>(id: string, verb: string, query = '?wait=60'): Promise<ApiAnswer<T>> {
  return service.api<T>('POST', `/api/deployment/${id}/${verb}${query}`);
}

async function docker(...args: string[]): Promise<string> {
  return (await promisify(execFile)('docker', args)).stdout.trim();
}

function containersOf(id: string): Promise<string> {
  return docker('ps', '--all', '--quiet', '--filter', `label=mcp-runner.deployment=${id}`);
}

/** Runs in the sandbox, as the server does. */
function inSandbox({ sandbox }: Deployment, script: string): Promise<string> {
  return docker('exec', sandbox.containerId ?? '', 'node', '-e', script);
}

const WRITE = `require('fs').writeFileSync('/home/mcp/kept', 'for later')`;
const READ = `process.stdout.write(require('fs').readFileSync('/home/mcp/kept', 'utf8'))`;

describe('a deployment', () => {
  it('is paused, started and restarted as often as one likes, and keeps what it has stored', async () => {
    const first = await service.deploy({ image });
    await inSandbox(first, WRITE);

    for (let time = 0; time < 2; time += 1) {
      expect(await power(first.id, 'pause')).toMatchObject({
        status: 200,
        body: {
          status: 'paused',
          statusReason: {
            code: 'requested',
            message: expect.stringContaining('It was told to pause.') as string,
          },
          sandbox: { containerId: null },
          network: { name: null, subnet: first.network.subnet },
        },
      });
      expect(await containersOf(first.id)).toBe('');
    }

    const { body: started } = await power(first.id, 'start');
    expect(started).toMatchObject({ status: 'running', user: { uid: first.user.uid } });
    expect(started.sandbox.containerId).not.toBe(first.sandbox.containerId);
    expect((await power(first.id, 'start')).body).toEqual(started);
    expect(await inSandbox(started, READ)).toBe('for later');

    const { body: restarted } = await power(first.id, 'restart');
    expect(restarted.status).toBe('running');
    expect(restarted.sandbox.containerId).not.toBe(started.sandbox.containerId);
    expect(await inSandbox(restarted, READ)).toBe('for later');
    await service.delete(first.id);
  });

  it('that is not to start by itself takes nothing from the engine until it is started', async () => {
    const body = { image, transport: { type: 'stdio' }, autoStart: false };
    const created = await service.api<Deployment>('POST', '/api/deployment?wait=60', body);
    expect(created).toMatchObject({
      status: 201,
      body: { status: 'paused', statusReason: { code: 'created' } },
    });
    const { id } = created.body;
    expect(await containersOf(id)).toBe('');
    expect((await power(id, 'start')).body.status).toBe('running');
    expect(await containersOf(id)).not.toBe('');
    await service.delete(id);
    expect(await containersOf(id)).toBe('');
  });

  it('is answered for at once without ?wait, and is paused while it starts', async () => {
    const { id } = await service.create({ image });
    expect((await power(id, 'pause', '')).body.status).toBe('pausing');
    expect((await power(id, 'pause')).body).toMatchObject({
      status: 'paused',
      sandbox: { containerId: null },
    });
    expect(await containersOf(id)).toBe('');
    await service.delete(id);
  });

  it('that has failed is not paused, but started again', async () => {
    const { id } = await service.create({ image: 'mcp-runner.invalid/nothing:0' });
    expect((await service.settled(id)).status).toBe('failed');
    expect(await power<Problem>(id, 'pause')).toMatchObject({
      status: 409,
      body: { code: 'state_conflict', detail: 'It has failed and does not run: start or delete it.' },
    });
    expect((await power(id, 'start', '')).body.status).toBe('starting');
    await service.settled(id);
    await service.delete(id);
  });

  it('that is gone is told nothing any more', async () => {
    const { id } = await service.create({ image, autoStart: false });
    await service.delete(id);
    for (const verb of ['start', 'pause', 'restart']) {
      expect(await power<Problem>(id, verb)).toMatchObject({
        status: 404,
        body: { code: 'deployment_not_found' },
      });
    }
  });
});

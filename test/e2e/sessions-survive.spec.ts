import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenOf } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { dualEraImage, fixtureImage } from '../support/fixture-image.js';
import { type Deployment, type DeploymentRequest, Service } from '../support/service.js';

const run = promisify(execFile);
const PORT = 3456;

type Kind = [name: string, request: (image: string) => Omit<DeploymentRequest, 'image'>];

/** Servers of every kind; what a client of the handshake era sees of them is the same. */
const KINDS: Kind[] = [
  ['a server on stdio', () => ({})],
  ['a shared server', () => ({ sessionMode: 'shared' })],
  [
    'a server that speaks Streamable HTTP',
    () => ({
      transport: { type: 'streamable_http', endpoint: `http://localhost:${PORT}/mcp` },
      args: ['--http', String(PORT)],
    }),
  ],
  [
    'a server that speaks HTTP+SSE',
    () => ({
      transport: { type: 'sse', endpoint: `http://localhost:${PORT}/sse` },
      args: ['--sse', String(PORT)],
    }),
  ],
];

interface Conversation {
  name: string;
  deployment: Deployment;
  client: RawClient;
}

describe('a client with an open session calls again, under the same session id, and gets the right answer', () => {
  let service: Service;
  let all: Conversation[];
  let calls = 0;

  beforeAll(async () => {
    const image = await fixtureImage();
    const modernImage = await dualEraImage();
    service = await Service.start();
    const requests: [string, DeploymentRequest][] = [
      ...KINDS.map(([name, request]): [string, DeploymentRequest] => [name, { image, ...request(image) }]),
      ['a server of the modern era', { image: modernImage, args: ['--modern-only'] }],
    ];
    all = await Promise.all(
      requests.map(async ([name, request]) => {
        const deployment = await service.deploy(request);
        const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
        await client.open();
        return { name, deployment, client };
      }),
    );
  });

  afterAll(() => service.stop());

  async function callAll(): Promise<void> {
    await Promise.all(
      all.map(async ({ name, client }) => {
        const text = `call ${++calls}`;
        const before = client.sessionId;
        const answer = await client.call(calls, 'echo', { text });
        expect([name, answer.status, answerText(answer)]).toEqual([name, 200, text]);
        expect(client.sessionId).toBe(before);
      }),
    );
  }

  const each = (work: (deployment: Deployment) => Promise<unknown>): Promise<unknown> =>
    Promise.all(all.map(({ deployment }) => work(deployment)));

  const power = (verb: string, status: string): Promise<unknown> =>
    each(async ({ id }) => {
      const { body } = await service.api<Deployment>('POST', `/api/deployment/${id}/${verb}?wait=60`);
      expect(body).toMatchObject({ id, status });
    });

  /** Harm done from outside, which the service notices by itself; what is in flight until then is answered by an error. */
  const harm = (...command: string[]): Promise<unknown> =>
    each(async ({ id }) => {
      const { containerId } = (await service.get(id)).sandbox;
      await run(
        'docker',
        command.map((word) => word.replace('SANDBOX', `mcpr-${id}`)),
      );
      await expect
        .poll(async () => (await service.get(id)).sandbox.containerId, { timeout: 20_000 })
        .not.toBe(containerId);
    });

  it.each<[string, () => Promise<unknown>]>([
    ['nothing happened', () => Promise.resolve()],
    ['its deployment was paused', () => power('pause', 'paused')],
    ['its deployment was restarted', () => power('restart', 'running')],
    ['the service ended with SIGTERM and started again', () => service.restart()],
    [
      'the service was killed with SIGKILL and started again',
      async () => {
        await service.kill();
        await service.restart();
      },
    ],
    ['its sandbox was killed', () => harm('kill', 'SANDBOX')],
    ['its sandbox was removed behind our back', () => harm('rm', '--force', 'SANDBOX')],
    [
      'its sandbox was taken off its network',
      () => harm('network', 'disconnect', '--force', 'SANDBOX', 'SANDBOX'),
    ],
    [
      'its server process exited in the middle of a call, which was answered by an error that says so',
      async () => {
        const answers = await Promise.all(all.map(({ client }) => client.call('x', 'exit', { code: 3 })));
        for (const { messages } of answers) {
          expect(messages.at(-1)).toMatchObject({
            id: 'x',
            error: { message: expect.stringContaining('exited with code 3') as string },
          });
        }
      },
    ],
  ])('after %s', async (_what, disturb) => {
    await callAll();
    await disturb();
    await callAll();
  });

  it('until it ends the session, which is final, also over a restart', async () => {
    for (const { client } of all) expect(await client.end()).toBe(200);
    await service.restart();
    for (const { client } of all) expect((await client.call(1, 'echo', { text: 'late' })).status).toBe(404);
  });
});

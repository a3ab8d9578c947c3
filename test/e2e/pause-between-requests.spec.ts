import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MATRIX_CLIENTS, MATRIX_SERVERS, playAll } from '../support/client-matrix.js';
import { installMatrixPrograms } from '../support/client-matrix-programs.js';
import type { Message } from '../support/client-events.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { tokenOf } from '../support/client.js';
import { listScenarios, runScenario } from '../support/conformance-suite.js';
import { dualEraImage, fixtureImage } from '../support/fixture-image.js';
import { headersOf, modern } from '../support/modern-request.js';
import { type DeploymentRequest, Service } from '../support/service.js';

/**
 * That every client is served, with a pause forced between any two requests (see pausing-front.ts). Here is what takes
 * a few minutes: all scenarios of the official suite at revision 2025-11-25 with a server on stdio, and one round of every
 * client, every edge and every kind of server. All the rest (the other revisions and servers, every client with every
 * server, shared mode, two clients at once) is `npm run test:paused`; what cannot hold there stands in
 * test/paused/exceptions.ts, each with its reason. Here is nothing that cannot.
 */
/** Of slow machines. */
const LIMIT_MS = 1_200_000;
const SCENARIO_MS = 120_000;
const SUITE = '0.2.0-alpha.12';
/** Most of a pause is waiting for the engine. */
const LANES = 3;
/** Of its own; so it runs alone. */
const HURRIED = 'server-initialize';
const NO_LONGER = 'Invalid params: requestState is not valid, or no longer';

type Server = [name: string, imageOf: () => Promise<string>, request: Partial<DeploymentRequest>];

const [STDIO, ...OVER_HTTP]: Server[] = MATRIX_SERVERS.map(({ server, transport, args }) => [
  `a server that speaks ${server}`,
  fixtureImage,
  { transport, args: [...args] },
]);
const SERVERS: Server[] = [
  ...OVER_HTTP,
  ['a server that its sessions share', fixtureImage, { sessionMode: 'shared' }],
  ['a server of both eras', dualEraImage, {}],
  ['a server of the modern era', dualEraImage, { args: ['--modern-only'] }],
];
/** One of each era. */
const CLIENTS = MATRIX_CLIENTS.filter(({ client, edge }) =>
  ['SDK 1.32 over Streamable HTTP', 'SDK 2.4, auto over Streamable HTTP'].includes(`${client} over ${edge}`),
);

const ROUNDS = [
  ...MATRIX_CLIENTS.map((client) => ({ client, server: STDIO as Server })),
  ...SERVERS.flatMap((server) => CLIENTS.map((client) => ({ client, server }))),
].map(({ client: { client, edge, connect }, server: [name, imageOf, request] }) => ({
  client,
  edge,
  connect,
  name,
  imageOf,
  request,
}));

describe('with a pause between any two requests', { timeout: LIMIT_MS, concurrent: true }, () => {
  let service: Service;

  beforeAll(async () => {
    await Promise.all([fixtureImage(), dualEraImage(), installMatrixPrograms()]);
    service = await Service.start({ pauses: true });
  });

  afterAll(() => service.stop());

  const pausesOf = (id: string): number => service.front?.pausesOf(id) ?? 0;

  async function deploy(imageOf: () => Promise<string>, request: Partial<DeploymentRequest> = {}) {
    return service.deploy({ image: await imageOf(), warmProcesses: 0, ...request });
  }

  /** Takes what is left, one after the other, until there is nothing. */
  async function playScenarios(left: string[]): Promise<void> {
    // The suite cannot send a key, and ends few of its sessions.
    const { id } = await deploy(fixtureImage, { access: 'public', maxSessions: 64 });
    const url = `${service.origin}/mcp-server/${id}/mcp`;
    const args = ['--spec-version', '2025-11-25', '--timeout', String(SCENARIO_MS)];
    const results = mkdtempSync(join(tmpdir(), 'mcp-runner-conformance-'));
    try {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        const before = pausesOf(id);
        const failures = await runScenario(SUITE, url, name, args, results);
        expect({ name, failures, isPaused: pausesOf(id) > before }).toEqual({
          name,
          failures: [],
          isPaused: true,
        });
      }
    } finally {
      rmSync(results, { recursive: true });
    }
  }

  it('what answers is never the process that answered before', async () => {
    const deployment = await deploy(fixtureImage);
    const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    await client.open();
    for (let id = 1; id <= 3; id++) {
      expect(answerText(await client.call(id, 'session_counter'))).toBe('1');
    }
  });

  it('32 of the 33 scenarios of the official suite at revision 2025-11-25 pass', async () => {
    const names = await listScenarios(SUITE, '2025-11-25');
    expect(names).toHaveLength(33);
    const left = names.filter((name) => name !== HURRIED);
    expect(left).toHaveLength(32);
    await Promise.all(Array.from({ length: LANES }, () => playScenarios(left)));
  });

  it.sequential('the scenario that gives a pause and a wake no more than 5 s passes as well', async () => {
    await playScenarios([HURRIED]);
  });

  it.each(ROUNDS)('$client over $edge works with $name', async ({ connect, imageOf, request, name }) => {
    const deployment = await deploy(imageOf, request);
    const client = await connect(deployment);
    try {
      await playAll(client, name);
    } finally {
      await client.close();
    }
    expect(pausesOf(deployment.id)).toBeGreaterThanOrEqual(3);
  });

  it.for([
    ['a server of the handshake era', fixtureImage],
    ['a server of both eras', dualEraImage],
  ] as const)(
    'what a client listens to goes on with each next process of %s',
    async ([, imageOf], { expect }) => {
      const deployment = await deploy(imageOf);
      const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
      const heard: unknown[] = [];
      const leaving = new AbortController();
      const send = (message: ReturnType<typeof modern>, options: object = {}): Promise<unknown> =>
        client.post(message, { headers: headersOf(message) as Record<string, string>, ...options });
      const listening = send(
        modern('sub', 'subscriptions/listen', { notifications: { toolsListChanged: true } }),
        {
          signal: leaving.signal,
          onMessage: ({ method }: Message) => heard.push(method),
        },
      ).catch(() => undefined);
      const expected = ['notifications/subscriptions/acknowledged'];
      await expect.poll(() => heard, { timeout: SCENARIO_MS }).toEqual(expected);
      for (let id = 1; id <= 2; id++) {
        await send(modern(id, 'tools/call', { name: 'test_trigger_tool_change', arguments: {} }));
        expected.push('notifications/tools/list_changed');
        await expect.poll(() => heard, { timeout: SCENARIO_MS }).toEqual(expected);
      }
      expect(pausesOf(deployment.id)).toBe(3);
      leaving.abort();
      await listening;
    },
  );

  it('a call that waits for what its client was asked, and is paused all the same, says that it is over', async () => {
    const deployment = await deploy(fixtureImage);
    const client = new RawClient(deployment.urls.mcp, tokenOf(deployment));
    const ask = async (params: object = {}): Promise<object | undefined> => {
      const capabilities = { elicitation: {} };
      const all = { name: 'ask', arguments: { label: 'x' }, ...params };
      const message = modern(1, 'tools/call', all, { capabilities });
      const { messages } = await client.post(message, {
        headers: headersOf(message) as Record<string, string>,
      });
      return messages.at(-1);
    };
    const asked = (await ask()) as { result: { inputRequests: object; requestState: string } };
    const { inputRequests, requestState } = asked.result;
    await service.api('POST', `/api/deployment/${deployment.id}/pause?wait=60`);
    const [key = ''] = Object.keys(inputRequests);
    const inputResponses = { [key]: { action: 'accept', content: { answer: 'late' } } };
    expect(await ask({ requestState, inputResponses })).toMatchObject({ error: { message: NO_LONGER } });
    expect(await ask()).toMatchObject({ result: { resultType: 'input_required' } });
  });
});

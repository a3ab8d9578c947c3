import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newClient, transportTo } from '../support/client.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, type DeploymentRequest, Service } from '../support/service.js';
import { findLeftovers, firewall } from '../support/service-leftovers.js';

interface Failure {
  what: string;
  request: Omit<DeploymentRequest, 'image'> & { image?: string };
  codes: string[];
  words: RegExp;
}

/** `localhost:1` is a registry that refuses every connection. */
const FAILURES: Failure[] = [
  {
    what: 'an image that nobody has',
    request: { image: 'localhost:1/mcp-runner/no-such-image:1' },
    codes: ['image_not_found', 'image_pull_failed'],
    words: /no-such-image/,
  },
  {
    what: 'a server that exits',
    request: { args: ['--exit-at-start'] },
    codes: ['server_exited'],
    words: /code 3[^]*the licence file is missing[^]*giving up/,
  },
  {
    what: 'a server that never answers',
    request: { args: ['--mute'], startTimeoutSeconds: 4 },
    codes: ['start_timeout'],
    words: /waiting for a database that never comes/,
  },
];

describe('a start that fails', () => {
  let service: Service;
  let rulesBefore: string;
  const failed = new Map<string, Deployment>();

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    rulesBefore = await firewall();
    await Promise.all(
      FAILURES.map(async ({ what, request }) => {
        const { id, accessToken = '' } = await service.create({ image, ...request });
        failed.set(what, { ...(await service.settled(id)), accessToken });
      }),
    );
  });

  afterAll(() => service.stop());

  function deploymentOf(what: string): Deployment {
    const deployment = failed.get(what);
    if (!deployment) throw new Error(`There is no deployment of ${what}`);
    return deployment;
  }

  it.each(FAILURES)('$what: the row says why, with the last words', ({ what, codes, words }) => {
    const { status, statusReason } = deploymentOf(what);
    expect(status).toBe('failed');
    expect(codes).toContain(statusReason.code);
    expect(statusReason.message).toMatch(words);
    expect(Date.parse(statusReason.at)).not.toBeNaN();
  });

  it.each(FAILURES)('$what: the MCP client is told the same, with 503', async ({ what, words }) => {
    const deployment = deploymentOf(what);
    const client = newClient();
    const refusal = await client.connect(transportTo(deployment)).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 503 });
    expect(String(refusal).replaceAll(String.raw`\n`, '\n')).toMatch(words);
  });

  it('a client that waits for the start is told when it fails', async () => {
    const image = await fixtureImage();
    const deployment = await service.create({ image, args: ['--exit-at-start'] });
    const refusal = await newClient()
      .connect(transportTo(deployment))
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 503 });
    expect(String(refusal)).toContain('the licence file is missing');
    failed.set('a server that exits while a client waits', await service.get(deployment.id));
  });

  it('nothing of it runs, and after its deletion nothing is left at all', async () => {
    const deployments = [...failed.values()];
    for (const { sandbox } of deployments) expect(sandbox.containerId).toBeNull();
    const left = await findLeftovers(service, deployments);
    // Its row and its log say why it failed.
    expect(left.filter((line) => !/^(?:row|file logs\/)/.test(line))).toEqual([]);
    await Promise.all(deployments.map(({ id }) => service.delete(id)));
    expect(await findLeftovers(service, deployments)).toEqual([]);
    expect(await firewall()).toBe(rulesBefore);
  });
});

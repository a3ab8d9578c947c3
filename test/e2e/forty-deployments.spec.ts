import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callText, withClient } from '../support/client.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';
import { findLeftovers, firewall } from '../support/service-leftovers.js';

/** Docker's own address pools end at about thirty networks. */
const COUNT = 40;
/** So many clients connect at a time: each makes a server process boot. */
const CLIENTS = 8;
const SLOW_MS = 240_000;

describe(`${COUNT} deployments at once`, () => {
  let service: Service;
  let rulesBefore: string;
  let deployments: (Deployment & { accessToken: string })[];

  beforeAll(async () => {
    const image = await fixtureImage();
    service = await Service.start();
    rulesBefore = await firewall();
    const request = { image, warmProcesses: 0, maxMemory: 256, startTimeoutSeconds: 240 };
    deployments = await Promise.all(Array.from({ length: COUNT }, () => service.deploy(request)));
  });

  afterAll(() => service.stop());

  it('all run, each with a network, a user and a sandbox of its own', () => {
    expect(deployments.map(({ status }) => status)).toEqual(deployments.map(() => 'running'));
    for (const ownThing of [
      ({ network }: Deployment) => network.subnet,
      ({ network }: Deployment) => network.name,
      ({ user }: Deployment) => user.uid,
      ({ sandbox }: Deployment) => sandbox.containerId,
    ]) {
      expect(new Set(deployments.map((deployment) => ownThing(deployment))).size).toBe(COUNT);
    }
    expect(new Set(deployments.map(({ sandbox }) => sandbox.runtime))).toEqual(new Set(['runsc']));
  });

  it('all answer', { timeout: SLOW_MS }, async () => {
    for (let first = 0; first < COUNT; first += CLIENTS) {
      const some = deployments.slice(first, first + CLIENTS);
      expect(await Promise.all(some.map(uidInside))).toEqual(some.map(({ user }) => user.uid));
    }
  });

  it('after their deletion nothing is left', { timeout: SLOW_MS }, async () => {
    expect(await findLeftovers(service, deployments)).not.toEqual([]);
    await Promise.all(deployments.map(({ id }) => service.delete(id)));
    expect(await findLeftovers(service, deployments)).toEqual([]);
    expect(await firewall()).toBe(rulesBefore);
  });
});

/** As the server itself sees it. */
function uidInside(deployment: Deployment): Promise<number> {
  return withClient(deployment, async (client) => {
    const { uid } = JSON.parse(await callText(client, 'whoami')) as { uid: number };
    return uid;
  });
}

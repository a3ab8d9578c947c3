import { setTimeout as sleep } from 'node:timers/promises';
import { formatIpv4, parseCidr } from '../../config/ipv4.js';
import type { SandboxSpec } from '../sandbox-runtime.js';
import { type Engine, reasonOf } from './engine.js';
import { bridgeOf, isOurs, labelsOf, nameOf } from './sandbox-names.js';

const REMOVAL_TRIES = 5;
const REMOVAL_PAUSE_MS = 200;

/** A bridge of the deployment's own: the gateway is the first address, the sandbox the second. */
export class SandboxNetwork {
  constructor(
    private readonly engine: Engine,
    private readonly instance: string,
    private readonly pool: string,
  ) {}

  async create(spec: SandboxSpec, signal: AbortSignal): Promise<void> {
    await this.engine.change(signal, (docker, abortSignal) =>
      docker.createNetwork({
        Name: nameOf(spec.deploymentId),
        CheckDuplicate: true,
        Driver: 'bridge',
        EnableIPv6: false,
        IPAM: { Driver: 'default', Config: [{ Subnet: spec.subnet, Gateway: addressIn(spec.subnet, 1) }] },
        Options: {
          'com.docker.network.bridge.name': bridgeOf(this.pool, spec.subnet),
          'com.docker.network.bridge.enable_icc': 'false',
        },
        Labels: labelsOf(this.instance, spec.deploymentId),
        abortSignal,
      }),
    );
  }

  async remove(deploymentId: string): Promise<void> {
    const signal = new AbortController().signal;
    const find = () =>
      this.engine.find(signal, (docker) => docker.getNetwork(nameOf(deploymentId)).inspect());
    for (let attempt = 1; ; attempt += 1) {
      const network = await find();
      if (network === undefined || !isOurs(network.Labels, this.instance)) return;
      try {
        await this.engine.remove((docker) => docker.getNetwork(network.Id).remove());
        return;
      } catch (error) {
        // The engine detaches a container that has just been removed a moment later.
        if (attempt === REMOVAL_TRIES || !/active endpoints/.test(reasonOf(error))) throw error;
        await sleep(REMOVAL_PAUSE_MS);
      }
    }
  }
}

/** The sandbox's own address. */
export function sandboxAddressOf(subnet: string): string {
  return addressIn(subnet, 2);
}

function addressIn(subnet: string, index: number): string {
  const range = parseCidr(subnet);
  if (range === undefined || range.last - range.first < index) throw new Error(`not a subnet: ${subnet}`);
  return formatIpv4(range.first + index);
}

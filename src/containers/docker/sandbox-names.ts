import { createHash } from 'node:crypto';
import { parseCidr } from '../../config/ipv4.js';

export const LABEL_INSTANCE = 'mcp-runner.instance';
export const LABEL_DEPLOYMENT = 'mcp-runner.deployment';

type Labels = Record<string, string>;

/** The name of a deployment's container, network and volume. */
export function nameOf(deploymentId: string): string {
  return `mcpr-${deploymentId}`;
}

export function labelsOf(instance: string, deploymentId: string): Labels {
  return { [LABEL_INSTANCE]: instance, [LABEL_DEPLOYMENT]: deploymentId };
}

/** Whether a resource belongs to this instance; a name alone proves nothing. */
export function isOurs(labels: Labels | undefined | null, instance: string): boolean {
  return labels?.[LABEL_INSTANCE] === instance;
}

/** What the names of all our bridges begin with. Pools of two instances on one host cannot overlap, so it tells them apart. */
export function bridgePrefixOf(pool: string): string {
  return `mcpr${createHash('sha256').update(pool).digest('hex').slice(0, 4)}`;
}

/** Interface name, at most 15 characters: the prefix and the number of the /29 among all of IPv4. */
export function bridgeOf(pool: string, subnet: string): string {
  const range = parseCidr(subnet);
  if (range === undefined) throw new Error(`not a subnet: ${subnet}`);
  return `${bridgePrefixOf(pool)}-${(range.first / 8).toString(36)}`;
}

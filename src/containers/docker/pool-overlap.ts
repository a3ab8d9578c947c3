import { readFile } from 'node:fs/promises';
import { formatIpv4, type Ipv4Range, parseCidr } from '../../config/ipv4.js';
import { AppError } from '../../errors/app-error.js';
import type { Engine } from './engine.js';
import { bridgePrefixOf, isOurs } from './sandbox-names.js';

/** Throws when a route of the host or another network of the engine lies in the pool: packets would go astray. */
export async function refuseOverlaps(
  engine: Engine,
  instance: string,
  pool: string,
  signal: AbortSignal,
): Promise<void> {
  const range = parseCidr(pool);
  if (range === undefined) throw new Error(`not a network: ${pool}`);
  const networks = await engine.ask(signal, (docker, abortSignal) => docker.listNetworks({ abortSignal }));
  for (const { Name, Labels, IPAM } of networks) {
    if (isOurs(Labels, instance)) continue;
    const subnets = (IPAM?.Config ?? []).map(({ Subnet }) => Subnet ?? '');
    const other = subnets.find((subnet) => overlaps(range, parseCidr(subnet)));
    if (other !== undefined) throw overlap(pool, `the Docker network ${Name} (${other})`);
  }
  const bridges = bridgePrefixOf(pool);
  for (const route of routesOf(await readFile('/proc/net/route', 'utf8'))) {
    if (route.device.startsWith(bridges) || !overlaps(range, route.range)) continue;
    throw overlap(pool, `the route to ${formatIpv4(route.range.first)} over ${route.device}`);
  }
}

/** The kernel's IPv4 routes but the default one; addresses are hexadecimal in the byte order of the machine. */
export function routesOf(table: string): { device: string; range: Ipv4Range }[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .filter((fields) => fields.length > 7 && fields[7] !== '00000000')
    .map((fields) => {
      const [first, mask] = [littleEndian(fields[1]), littleEndian(fields[7])];
      return { device: fields[0] ?? '', range: { first, last: first + (2 ** 32 - 1 - mask) } };
    });
}

function littleEndian(hex = ''): number {
  return Buffer.from(hex, 'hex').readUInt32LE(0);
}

function overlaps(one: Ipv4Range, other: Ipv4Range | undefined): boolean {
  return other !== undefined && one.first <= other.last && other.first <= one.last;
}

function overlap(pool: string, other: string): AppError {
  return new AppError('runtime_unavailable', {
    detail: `SANDBOX_SUBNET_POOL ${pool} overlaps ${other}. Choose another pool.`,
  });
}

import { once } from 'node:events';
import { createServer } from 'node:net';
import { LANE } from './lane.js';

const UIDS_PER_SERVICE = 64;

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('There is no free port');
  return address.port;
}

/** A /20 that services on other ports most likely do not have. */
export function subnetPoolOf(port: number): string {
  return `10.${128 + LANE * 32 + ((port >> 4) % 32)}.${(port % 16) * 16}.0/20`;
}

export function uidsOf(port: number): [first: number, last: number] {
  const first = 300_000 + (LANE * 2048 + (port % 2048)) * UIDS_PER_SERVICE;
  return [first, first + UIDS_PER_SERVICE - 1];
}

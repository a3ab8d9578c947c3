import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { LANE } from './lane.js';

const UIDS_PER_SERVICE = 64;
/** Of a lane. */
const PLACES = 128;
/** Anywhere, so that what an earlier run has left is in nobody's way. */
let next = randomInt(PLACES);

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('There is no free port');
  return address.port;
}

/** What a service needs for itself. */
export interface OwnPlace {
  readonly port: number;
  /** A /20. */
  readonly subnetPool: string;
  /** The first and the last uid of its sandboxes. */
  readonly uids: [first: number, last: number];
}

/** Another one each time: nobody else has it, neither here nor in a test that runs at the same time. */
export async function ownPlace(): Promise<OwnPlace> {
  const port = await freePort();
  const number = next;
  next = (next + 1) % PLACES;
  const first = 300_000 + (LANE * PLACES + number) * UIDS_PER_SERVICE;
  return {
    port,
    subnetPool: `10.${128 + LANE * 8 + (number >> 4)}.${(number % 16) * 16}.0/20`,
    uids: [first, first + UIDS_PER_SERVICE - 1],
  };
}

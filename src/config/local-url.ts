import type { Config } from './config.js';

/** Addresses that stand for all addresses, and where the machine itself reaches who listens on them. */
const ANY = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

/** Where this machine reaches the service, without a trailing slash. */
export function localUrlOf({ bindIp, port }: Pick<Config, 'bindIp' | 'port'>): string {
  const host = ANY.get(bindIp) ?? bindIp;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

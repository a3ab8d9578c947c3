/** An IPv4 network as numbers: first and last address included. */
export interface Ipv4Range {
  first: number;
  last: number;
}

const OCTETS = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;

/** `10.0.0.1` as a number; undefined when it is no IPv4 address. */
export function parseIpv4(text: string): number | undefined {
  const octets = OCTETS.exec(text)?.slice(1).map(Number);
  if (octets === undefined || octets.some((octet) => octet > 255)) return undefined;
  return octets.reduce((sum, octet) => sum * 256 + octet, 0);
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** `10.213.0.0/16` as a range; undefined when it is no CIDR or has bits set behind its prefix. */
export function parseCidr(text: string): Ipv4Range | undefined {
  const [address, prefix, ...rest] = text.split('/');
  if (address === undefined || prefix === undefined || rest.length > 0 || !/^\d{1,2}$/.test(prefix))
    return undefined;
  const first = parseIpv4(address);
  const size = 2 ** (32 - Number(prefix));
  if (first === undefined || Number(prefix) > 32 || first % size !== 0) return undefined;
  return { first, last: first + size - 1 };
}

import type { TransportType } from './deployment.js';

export const ENDPOINT_MAX_LENGTH = 1024;
const PORT = String.raw`(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])`;
const SEGMENT = String.raw`[\w.~!$&'()*+,;=:@%-]`;

/**
 * The loopback host says that the server decides where it is: it is reached at the sandbox's own address. No segment of the
 * path is empty, because a path that begins with `//` is taken for a host by whoever resolves it against an address.
 */
export const ENDPOINT = new RegExp(
  String.raw`^http://(?:localhost|127\.0\.0\.1|\[::1\])(?::${PORT})?(?:/${SEGMENT}+)*/?(?:\?(?:${SEGMENT}|[/?])*)?$`,
);

const DEFAULT_PORT = 80;
const EXPECTED =
  'must be a URL such as http://localhost:3000/mcp, at most ' +
  `${ENDPOINT_MAX_LENGTH} characters, without user, password and fragment: the host localhost, 127.0.0.1 or [::1], ` +
  'a port from 1 to 65535, a path without "//"';

/** True for the transports whose server listens on a port. */
export function isHttpType(type: unknown): type is Exclude<TransportType, 'stdio'> {
  return type === 'streamable_http' || type === 'sse';
}

/** What is wrong with the endpoint of a transport, or undefined. */
export function endpointComplaint(value: unknown, type: unknown): string | undefined {
  if (!isHttpType(type)) {
    return value === undefined ? undefined : 'must be left out unless type is "streamable_http" or "sse"';
  }
  const fits = typeof value === 'string' && value.length <= ENDPOINT_MAX_LENGTH && ENDPOINT.test(value);
  return fits ? undefined : EXPECTED;
}

/** The parts of an endpoint that was accepted: `localhost:3000`, the port, and the path with the query. */
export function parseEndpoint(endpoint: string): { host: string; port: number; path: string } {
  const { host, port, pathname, search } = new URL(endpoint);
  return { host, port: port === '' ? DEFAULT_PORT : Number(port), path: `${pathname}${search}` };
}

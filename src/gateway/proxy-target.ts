import type { HttpEndpoint } from '../mcp/channels/http-endpoint.js';

/** Put together of parts that were checked, for nothing in the path may turn into another host. */
export function targetOf({ address, port, path }: HttpEndpoint): URL {
  const target = new URL(`http://${address}:${port}`);
  const [pathname = '', ...query] = path.split('?');
  target.pathname = pathname;
  target.search = query.join('?');
  return target;
}

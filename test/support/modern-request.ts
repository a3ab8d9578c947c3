import { META, MODERN_REVISIONS } from '../../src/mcp/modern/modern-request.js';

const REVISION = MODERN_REVISIONS[0] as string;

export interface ModernOptions {
  capabilities?: object;
  logLevel?: string;
  token?: string | number;
  revision?: string;
}

/** A request of revision 2026-07-28. */
export function modern(
  id: number | string,
  method: string,
  params: object = {},
  { capabilities = {}, logLevel, token, revision = REVISION }: ModernOptions = {},
) {
  const envelope = {
    [META.protocolVersion]: revision,
    [META.clientCapabilities]: capabilities,
    ...(logLevel !== undefined && { [META.logLevel]: logLevel }),
    ...(token !== undefined && { progressToken: token }),
  };
  return { jsonrpc: '2.0', id, method, params: { ...params, _meta: envelope } };
}

/** The headers that belong to it. */
export function headersOf({ method, params }: ReturnType<typeof modern>): Record<string, string | undefined> {
  const { name, uri } = params as { name?: string; uri?: string };
  return {
    'mcp-protocol-version': REVISION,
    'mcp-method': method,
    ...((name ?? uri) !== undefined && { 'mcp-name': name ?? uri }),
  };
}

export const tool = (id: number | string, args: object = {}, options: ModernOptions = {}) =>
  modern(id, 'tools/call', { name: 'echo', arguments: args }, options);

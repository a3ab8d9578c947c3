import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { ClientCapabilities } from '@modelcontextprotocol/sdk/types.js';
import type { Deployment } from './service.js';

/** Headers that open a deployment with its own token. */
export function tokenOf(deployment: Pick<Deployment, 'accessToken'>): Record<string, string> {
  return deployment.accessToken ? { authorization: `Bearer ${deployment.accessToken}` } : {};
}

/** The official SDK's client, unmodified, not yet connected. */
export function newClient(capabilities: ClientCapabilities = {}): Client {
  return new Client({ name: 'mcp-runner-e2e', version: '1.0.0' }, { capabilities });
}

export function transportTo(
  deployment: Pick<Deployment, 'urls' | 'accessToken'>,
  headers: Record<string, string> = tokenOf(deployment),
): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(new URL(deployment.urls.mcp), { requestInit: { headers } });
}

/** Run `use` with a connected client; its session is deleted and the client closed afterwards. */
export async function withClient<T>(
  deployment: Pick<Deployment, 'urls' | 'accessToken'>,
  use: (client: Client) => Promise<T>,
  client: Client = newClient(),
): Promise<T> {
  const transport = transportTo(deployment);
  await client.connect(transport);
  try {
    return await use(client);
  } finally {
    await transport.terminateSession();
    await client.close();
  }
}

/** The text of a tool's result; throws it where the tool reports an error. */
export async function callText(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<string> {
  return textOf(await client.callTool({ name, arguments: args }));
}

export function textOf(result: Record<string, unknown>): string {
  const parts = (result['content'] ?? []) as { type: string; text?: string }[];
  const text = parts.map((part) => part.text ?? '').join('\n');
  if (result['isError'] === true) throw new Error(text);
  return text;
}

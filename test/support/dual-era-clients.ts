import { Client as ClientTwo, StreamableHTTPClientTransport as HttpTwo } from '@modelcontextprotocol/client';
import { newClient, tokenOf, transportTo } from './client.js';
import type { Deployment } from './service.js';

/** What the two generations of the SDK have in common. */
interface Sdk {
  listTools(): Promise<{ tools: { name: string }[] }>;
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<Record<string, unknown>>;
  getPrompt(ask: {
    name: string;
    arguments: Record<string, string>;
  }): Promise<{ messages: { content: unknown }[] }>;
  readResource(ask: { uri: string }): Promise<{ contents: unknown[] }>;
}

/** A connected client, and how to leave as a client should. */
export interface Connected {
  sdk: Sdk;
  leave: () => Promise<void>;
}

async function one(deployment: Deployment): Promise<Connected> {
  const client = newClient();
  const transport = transportTo(deployment);
  await client.connect(transport);
  return {
    sdk: client,
    async leave() {
      await transport.terminateSession();
      await client.close();
    },
  };
}

async function two(mode: 'auto' | { pin: string }, deployment: Deployment): Promise<Connected> {
  const client = new ClientTwo(
    { name: 'mcp-runner-e2e', version: '1.0.0' },
    { versionNegotiation: { mode } },
  );
  const headers = tokenOf(deployment);
  await client.connect(new HttpTwo(new URL(deployment.urls.mcp), { requestInit: { headers } }));
  return { sdk: client, leave: () => client.close() };
}

/** Unmodified clients, and the revision that each speaks with a server of both eras. */
export const DUAL_ERA_CLIENTS: [string, string, (deployment: Deployment) => Promise<Connected>][] = [
  ['SDK 1.32', '2025-11-25', one],
  ['SDK 2.4, auto', '2026-07-28', (deployment) => two('auto', deployment)],
  ['SDK 2.4, pinned to 2026-07-28', '2026-07-28', (deployment) => two({ pin: '2026-07-28' }, deployment)],
];

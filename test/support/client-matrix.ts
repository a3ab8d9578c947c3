import { expect } from 'vitest';
import type { Deployment } from './service.js';
import { inspector, mcpRemote } from './client-matrix-programs.js';
import { sdkOne, sdkTwo } from './client-matrix-sdks.js';

/** What every client must be able to do, and what most can. */
export interface MatrixClient {
  toolNames(): Promise<string[]>;
  /** The text that the tool `echo` returned. */
  echo(text: string): Promise<string>;
  /** The first three reports of a call of the tool `progress`; absent where the client shows none. */
  progress?(label: string): Promise<number[]>;
  /** What the tool `ask` was told by this client's user, who always answers `yes`; absent where nobody can be asked. */
  ask?(label: string): Promise<string>;
  close(): Promise<void>;
}

/** Everything that a client can do; `label` tells the calls of several apart. */
export async function playAll(client: MatrixClient, label: string): Promise<void> {
  expect(await client.toolNames()).toEqual(expect.arrayContaining(['echo', 'test_simple_text']));
  expect(await client.echo('grüß dich 🌍')).toBe('grüß dich 🌍');
  if (client.progress) expect(await client.progress(label)).toEqual([1, 2, 3]);
  if (client.ask) expect(await client.ask(label)).toBe('yes');
}

export type MatrixTarget = Pick<Deployment, 'urls' | 'accessToken'>;

export interface MatrixRow {
  client: string;
  /** The edge it uses. */
  edge: 'Streamable HTTP' | 'HTTP+SSE' | 'WebSocket';
  /** The era it speaks with a server of the handshake era behind us. */
  era: 'handshake' | 'modern';
  connect: (target: MatrixTarget) => Promise<MatrixClient>;
}

const PORT = 3456;

/** How the server, in its sandbox, is spoken to. */
export const MATRIX_SERVERS = [
  { server: 'stdio', transport: { type: 'stdio' }, args: [] },
  {
    server: 'Streamable HTTP',
    transport: { type: 'streamable_http', endpoint: `http://localhost:${PORT}/mcp` },
    args: ['--http', String(PORT)],
  },
  {
    server: 'HTTP+SSE',
    transport: { type: 'sse', endpoint: `http://localhost:${PORT}/sse` },
    args: ['--sse', String(PORT)],
  },
] as const;

/** Unmodified clients as their authors publish them. The table in docs/protocol.md says the same. */
export const MATRIX_CLIENTS: MatrixRow[] = [
  {
    client: 'SDK 1.32',
    edge: 'Streamable HTTP',
    era: 'handshake',
    connect: (target) => sdkOne('Streamable HTTP', target),
  },
  { client: 'SDK 1.32', edge: 'HTTP+SSE', era: 'handshake', connect: (target) => sdkOne('HTTP+SSE', target) },
  {
    client: 'SDK 1.32',
    edge: 'WebSocket',
    era: 'handshake',
    connect: (target) => sdkOne('WebSocket', target),
  },
  {
    client: 'SDK 2.4, legacy',
    edge: 'Streamable HTTP',
    era: 'handshake',
    connect: (target) => sdkTwo('legacy', target),
  },
  {
    client: 'SDK 2.4, auto',
    edge: 'Streamable HTTP',
    era: 'modern',
    connect: (target) => sdkTwo('auto', target),
  },
  {
    client: 'SDK 2.4, pinned to 2026-07-28',
    edge: 'Streamable HTTP',
    era: 'modern',
    connect: (target) => sdkTwo({ pin: '2026-07-28' }, target),
  },
  {
    client: 'Inspector 2.12, command line',
    edge: 'Streamable HTTP',
    era: 'handshake',
    connect: (target) => inspector('http', target),
  },
  {
    client: 'Inspector 2.12, command line',
    edge: 'HTTP+SSE',
    era: 'handshake',
    connect: (target) => inspector('sse', target),
  },
  {
    client: 'mcp-remote 0.15, http-only',
    edge: 'Streamable HTTP',
    era: 'handshake',
    connect: (target) => mcpRemote('http-only', target),
  },
  {
    client: 'mcp-remote 0.15, sse-only',
    edge: 'HTTP+SSE',
    era: 'handshake',
    connect: (target) => mcpRemote('sse-only', target),
  },
];

import { beforeEach, describe, expect, it } from 'vitest';
import { mcpServer, type Script, ScriptedProcess } from '../../test/support/scripted-process.js';
import type { DeploymentRow } from '../deployments/deployment.table.js';
import { StdioChannel } from '../mcp/channels/stdio-channel.js';
import { Eras } from './eras.js';
import { HandshakeProbe } from './handshake-probe.js';
import type { ProcessPool } from './process-pool.js';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const never = new AbortController().signal;
const refuse: Script = ({ id }, process) =>
  process.say({
    jsonrpc: '2.0',
    id,
    error: { code: -32022, message: 'no', data: { supported: ['2026-07-28'] } },
  });
const discover: Script = ({ id }, process) =>
  process.say({
    jsonrpc: '2.0',
    id,
    result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: {} },
  });
const unknown: Script = ({ id }, process) =>
  process.say({ jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } });

const SERVERS = {
  handshake: mcpServer(unknown),
  both: mcpServer(discover),
  modern: (message, process) => (message.method === 'initialize' ? refuse : discover)(message, process),
  neither: (message, process) => (message.method === 'initialize' ? refuse : unknown)(message, process),
  exiting: (message, process) =>
    message.method === 'initialize' ? mcpServer()(message, process) : process.exit(1),
  later: (message, process) =>
    process.say({ jsonrpc: '2.0', id: message.id, result: { supportedVersions: ['2099-01-01'] } }),
} satisfies Record<string, Script>;

let processes: ScriptedProcess[];
let server: Script;
let eras: Eras;
let probe: HandshakeProbe;

const row = (changes: Partial<DeploymentRow> = {}): DeploymentRow =>
  ({
    id: 'dp_a',
    imageId: 'sha256:1',
    transport: 'stdio',
    endpoint: null,
    args: null,
    env: {},
    startTimeoutSeconds: 5,
    ...changes,
  }) as DeploymentRow;

beforeEach(() => {
  processes = [];
  const pool = {
    spawn: () => {
      const process = new ScriptedProcess(server);
      processes.push(process);
      return Promise.resolve(new StdioChannel(process, 1 << 20));
    },
    fill: () => undefined,
  } as unknown as ProcessPool;
  eras = new Eras(pool);
  probe = new HandshakeProbe(pool, eras);
});

describe('which eras a server speaks', () => {
  it.each([
    ['handshake', true, false],
    ['both', true, true],
    ['modern', false, true],
    ['exiting', true, false],
  ] as const)(
    'is found out of one that speaks %s, each on a process that is thrown away',
    async (kind, handshake, modern) => {
      server = SERVERS[kind];
      expect(await eras.speaks('modern', row(), NOW)).toBe(modern);
      expect(await eras.speaks('handshake', row(), NOW)).toBe(handshake);
      expect(processes.map(({ ends }) => ends)).toEqual([1, 1]);
      expect(processes.every(({ lines }) => lines.length <= 2)).toBe(true);
    },
  );

  it('is not ours where it speaks a later revision only', async () => {
    server = SERVERS.later;
    expect(await eras.speaks('modern', row(), NOW)).toBe(false);
  });

  it('is asked once for all who want to know at the same time, and again after an hour', async () => {
    server = SERVERS.both;
    await Promise.all(Array.from({ length: 20 }, () => eras.speaks('modern', row(), NOW)));
    await eras.speaks('modern', row({ id: 'dp_b' }), NOW + HOUR - 1);
    expect(processes).toHaveLength(1);
    await eras.speaks('modern', row(), NOW + HOUR);
    expect(processes).toHaveLength(2);
  });

  it.each([
    ['another image', { imageId: 'sha256:2' }],
    ['other arguments', { args: ['--modern'] }],
    ['another environment', { env: { ERA: 'modern' } }],
  ])('is another question for %s', async (_what, changes) => {
    server = SERVERS.both;
    await eras.speaks('modern', row(), NOW);
    await eras.speaks('modern', row(changes), NOW);
    expect(processes).toHaveLength(2);
  });

  it('is asked again when the asking failed', async () => {
    const failing = new Eras({
      spawn: () => Promise.reject(new Error('no engine')),
    } as unknown as ProcessPool);
    for (let n = 0; n < 2; n++)
      await expect(failing.speaks('modern', row(), NOW)).rejects.toThrow('no engine');
  });
});

describe('the proof at start', () => {
  it.each(['handshake', 'both', 'modern'] as const)('is given by a server that speaks %s', async (kind) => {
    server = SERVERS[kind];
    await probe.probe(row(), never);
    const asked = processes.length;
    expect(await eras.speaks('handshake', row(), Date.now())).toBe(kind !== 'modern');
    expect(processes).toHaveLength(asked);
  });

  it('is not given by one that speaks neither, and its refusal is the reason', async () => {
    server = SERVERS.neither;
    await expect(probe.probe(row(), never)).rejects.toMatchObject({ code: 'server_invalid' });
  });
});

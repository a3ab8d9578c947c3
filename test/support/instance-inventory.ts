import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { formatIpv4 } from '../../src/config/ipv4.js';
import { tableNameOf } from '../../src/containers/docker/firewall-rules.js';
import {
  bridgeOf,
  bridgePrefixOf,
  LABEL_INSTANCE,
  nameOf,
} from '../../src/containers/docker/sandbox-names.js';
import { askEngine } from './engine-api.js';
import { execsIn, hostProcesses, processesIn } from './sandbox-processes.js';
import type { Service } from './service.js';
import { type StoredDeployment, storedDeployments } from './stored-rows.js';

/** What the machine is to have, or has; one line each. */
type Things = Record<string, string[]>;

interface Named {
  Name: string;
}

/**
 * Compares the rows of one service with everything on the machine that is, or may be, of this instance: by label, address
 * pool, uid range, data directory, and by the ids of containers and deployments that it has ever seen.
 */
export class InstanceInventory {
  private readonly containersSeen = new Set<string>();
  private readonly deploymentsSeen = new Set<string>();
  readonly instance: string;

  constructor(private readonly service: Service) {
    this.instance = readFileSync(join(service.dataDir, 'instance-id'), 'utf8').trim();
  }

  /**
   * What is missing and what should not be there; empty: everything matches.
   * @param sessions how many of the sessions have a server process now, beside the spares
   */
  async differences(sessions = 0): Promise<string[]> {
    const rows = storedDeployments(this.service);
    const moving = rows.filter(({ status }) => !['running', 'paused', 'failed'].includes(status));
    if (moving.length > 0) return moving.map(({ id, status }) => `${id} is ${status}`);
    const running = rows.filter(({ status }) => status === 'running');
    const [expected, found] = [this.expected(rows, running), await this.found()];
    const things = Object.keys(expected).flatMap((kind) => compare(kind, expected[kind], found[kind]));
    const processes = await Promise.all(running.map((row) => this.processDifferences(row)));
    const spares = running.reduce((sum, { warm_processes: warm }) => sum + warm, 0);
    const count = processes.reduce((sum, each) => sum + each.count, 0);
    if (count !== spares + sessions) {
      const each = running.map(({ id }, index) => `${id} has ${processes[index]?.count}`).join(', ');
      things.push(`${count} server processes, not ${spares} + ${sessions}: ${each}`);
    }
    return [...things, ...processes.flatMap((each) => each.differences)];
  }

  /** Remember what is there now, so that it is looked for when it should be gone. */
  async note(): Promise<void> {
    for (const { id } of storedDeployments(this.service)) this.deploymentsSeen.add(id);
    for (const { Id: id } of await this.containers()) this.containersSeen.add(id);
  }

  private expected(rows: StoredDeployment[], running: StoredDeployment[]): Things {
    const accounts = rows.filter((row) => row.has_account === 1).map(({ uid }) => `mcp-${uid}`);
    return {
      container: running.map(({ id, container_id: container }) => `${nameOf(id)} ${container} running`),
      network: running.map(({ id, subnet_address: at }) => `${nameOf(id)} ${formatIpv4(at)}/29`),
      bridge: running.map(({ subnet_address: at }) =>
        bridgeOf(this.service.subnetPool, `${formatIpv4(at)}/29`),
      ),
      volume: running.map(({ id }) => nameOf(id)),
      mount: running.map(({ id }) => id),
      'loop device': running.map((row) => this.home(fileOf(row))),
      home: rows.filter((row) => row.has_remains === 1).map(fileOf),
      'line in passwd': accounts,
      'line in group': accounts,
      'line in shadow': accounts,
      'firewall table': [tableNameOf(this.service.subnetPool)],
      'process of a container that is gone': [],
      'log without a row': [],
    };
  }

  private async found(): Promise<Things> {
    await this.note();
    const filters = this.filters();
    const [containers, networks, volumes, bridges, loops, tables] = await Promise.all([
      this.containers(),
      askEngine<(Named & { IPAM: { Config: { Subnet: string }[] } })[]>('/networks', filters),
      askEngine<{ Volumes: Named[] | null }>('/volumes', filters),
      lines('ip', '-o', 'link'),
      lines('losetup', '--list', '--noheadings', '--output', 'BACK-FILE'),
      lines('nft', 'list', 'tables'),
    ]);
    const living = new Set(containers.map(({ Id: id }) => id));
    const dead = [...this.containersSeen].filter((id) => !living.has(id));
    const prefix = bridgePrefixOf(this.service.subnetPool);
    const table = tableNameOf(this.service.subnetPool);
    return {
      container: containers.map(
        ({ Id: id, Names: [name], State: state }) => `${name?.slice(1)} ${id} ${state}`,
      ),
      network: (networks ?? []).map(
        ({
          Name: name,
          IPAM: {
            Config: [at],
          },
        }) => `${name} ${at?.Subnet}`,
      ),
      bridge: bridges
        .flatMap((line) => /^\d+: (\S+?)[:@]/.exec(line)?.[1] ?? [])
        .filter((name) => name.startsWith(prefix)),
      volume: (volumes?.Volumes ?? []).map(({ Name: name }) => name),
      mount: this.mounts(),
      'loop device': loops.filter((line) => line.startsWith(this.service.dataDir)),
      home: readdirSync(this.home('')),
      'line in passwd': this.accountsIn('/etc/passwd'),
      'line in group': this.accountsIn('/etc/group'),
      'line in shadow': this.accountsIn('/etc/shadow'),
      'firewall table': tables.flatMap((line) => line.split(' ').filter((word) => word === table)),
      'process of a container that is gone': hostProcesses().filter((line) =>
        dead.some((id) => line.includes(id)),
      ),
      'log without a row': this.strayLogs(),
    };
  }

  /** Inside, in the engine's books and on the host there are to be the same processes. */
  private async processDifferences(row: StoredDeployment): Promise<{ count: number; differences: string[] }> {
    const id = row.container_id ?? '';
    const [execs, inside] = [await execsIn(id), await processesIn(id)];
    const helpers = hostProcesses().filter((line) => line.includes('runsc-exec ') && line.includes(id));
    const counts = [execs.length, helpers.length];
    const differences = counts.every((count) => count === inside.length)
      ? []
      : [`${row.id}: ${execs.length} execs, ${helpers.length} helpers, inside: ${inside.join(', ')}`];
    return { count: inside.length, differences };
  }

  private async containers(): Promise<{ Id: string; Names: string[]; State: string }[]> {
    return (await askEngine('/containers/json', this.filters())) ?? [];
  }

  private filters(): Record<string, string[]> {
    return { label: [`${LABEL_INSTANCE}=${this.instance}`] };
  }

  private strayLogs(): string[] {
    const folder = join(this.service.dataDir, 'logs');
    const rows = new Set(storedDeployments(this.service).map(({ id }) => id));
    return existsSync(folder) ? readdirSync(folder).filter((id) => !rows.has(id)) : [];
  }

  private mounts(): string[] {
    const mounts = readFileSync('/proc/mounts', 'utf8');
    return [...this.deploymentsSeen].filter((id) => mounts.includes(`${nameOf(id)}/`));
  }

  private accountsIn(file: string): string[] {
    const [first, last] = this.service.uids;
    const names = [...readFileSync(file, 'utf8').matchAll(/^mcp-(\d+):/gm)];
    return names
      .filter(([, uid]) => Number(uid) >= first && Number(uid) <= last)
      .map(([name]) => name.slice(0, -1));
  }

  private home(file: string): string {
    return join(this.service.dataDir, 'homes', file);
  }
}

function fileOf({ id }: StoredDeployment): string {
  return `${id}.img`;
}

function compare(kind: string, expected: string[] = [], found: string[] = []): string[] {
  const left = [...found];
  const missing = expected.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  return [
    ...missing.map((line) => `missing ${kind}: ${line}`),
    ...left.map((line) => `stray ${kind}: ${line}`),
  ];
}

async function lines(command: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await promisify(execFile)(command, args);
  return stdout
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

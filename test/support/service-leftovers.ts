import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import SQLite from 'better-sqlite3';
import { hostProcesses } from './sandbox-processes.js';
import type { Deployment, Service } from './service.js';

const run = promisify(execFile);

async function lines(command: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await run(command, args);
  return stdout.split('\n').filter((line) => line !== '');
}

/** The host's firewall, without the counters. */
export async function firewall(): Promise<string> {
  return (await run('nft', ['--stateless', 'list', 'ruleset'])).stdout;
}

/** Whatever these deployments have left on the machine, one line each. They were read while they ran. */
export async function findLeftovers(
  service: Pick<Service, 'dataDir'>,
  deployments: Deployment[],
): Promise<string[]> {
  const found: string[] = [];
  const note = (kind: string, names: string[]): void => {
    found.push(...names.map((name) => `${kind} ${name}`));
  };
  const isOurs = (text: string): boolean =>
    deployments.some(({ id, sandbox }) => text.includes(id) || text.includes(sandbox.containerId ?? id));
  const ofLabel = (line: string): boolean => deployments.some(({ id }) => line.includes(id));

  note(
    'container',
    (await lines('docker', 'ps', '-a', '--no-trunc', '--format', '{{.ID}} {{.Names}} {{.Labels}}')).filter(
      isOurs,
    ),
  );
  note(
    'network',
    (await lines('docker', 'network', 'ls', '--format', '{{.Name}} {{.Labels}}')).filter(ofLabel),
  );
  note(
    'volume',
    (await lines('docker', 'volume', 'ls', '--format', '{{.Name}} {{.Labels}}')).filter(ofLabel),
  );
  for (const file of ['/etc/passwd', '/etc/group', '/etc/shadow']) {
    const accounts = readFileSync(file, 'utf8').split('\n');
    note(
      file,
      accounts.filter((line) => deployments.some(({ user }) => line.startsWith(`${user.name}:`))),
    );
  }
  note('file', readdirSync(service.dataDir, { recursive: true, encoding: 'utf8' }).filter(isOurs));
  note('mount', readFileSync('/proc/mounts', 'utf8').split('\n').filter(isOurs));
  note('loop device', (await lines('losetup', '--list', '--noheadings')).filter(isOurs));
  note('process', hostProcesses().filter(isOurs));
  note(
    'route',
    (await lines('ip', 'route')).filter((line) =>
      deployments.some(({ network }) => line.startsWith(`${network.subnet} `)),
    ),
  );
  note('row', rowsOf(service).filter(ofLabel));
  return found;
}

/** Every row of every table, as JSON. */
function rowsOf(service: Pick<Service, 'dataDir'>): string[] {
  const file = readdirSync(service.dataDir).find((name) => /\.(db|sqlite)$/.test(name));
  if (file === undefined) throw new Error(`There is no database in ${service.dataDir}`);
  const db = new SQLite(join(service.dataDir, file), { readonly: true });
  try {
    const tables = db
      .prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`)
      .pluck()
      .all() as string[];
    return tables.flatMap((table) =>
      db
        .prepare(`SELECT * FROM "${table}"`)
        .all()
        .map((row) => JSON.stringify(row)),
    );
  } finally {
    db.close();
  }
}

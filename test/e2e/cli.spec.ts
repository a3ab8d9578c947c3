import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bridgeOf } from '../../src/containers/docker/sandbox-names.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { type CommandEnd, mcpRunner } from '../support/command.js';
import { tinyImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';
import { findLeftovers } from '../support/service-leftovers.js';

const exec = promisify(execFile);
const ORPHAN = `dp_${'0'.repeat(31)}1`;
const STRANGER = `dp_${'0'.repeat(31)}2`;
const CALLS_AT_ONCE = 8;

let image: string;
let service: Service;
let folder: string;
/** Of the backup. */
let kept: Deployment;

beforeAll(async () => {
  image = await tinyImage();
  folder = mkdtempSync(join(tmpdir(), 'mcp-runner-cli-'));
  service = await Service.start();
});

afterAll(async () => {
  rmSync(folder, { recursive: true });
  await service.stop();
});

function run(args: string[], settings: Record<string, string> = {}): Promise<CommandEnd> {
  return mcpRunner(args, { ...service.settings, ...settings });
}

async function findings(settings: Record<string, string> = {}) {
  const { code, stdout } = await run(['doctor', '--json'], settings);
  const { status, findings: all } = JSON.parse(stdout) as {
    status: string;
    findings: { name: string; level: string; message: string; fix?: string }[];
  };
  for (const { level, fix } of all) expect(level === 'ok' || fix !== undefined).toBe(true);
  return { code, status, bad: all.filter(({ level }) => level !== 'ok') };
}

/** A network that a deployment without a row would have left. */
function makeNetwork(id: string, instance: string, subnet: string): Promise<unknown> {
  const bridge = ['--opt', `com.docker.network.bridge.name=${bridgeOf(service.subnetPool, subnet)}`];
  const labels = ['--label', `mcp-runner.instance=${instance}`, '--label', `mcp-runner.deployment=${id}`];
  return exec('docker', ['network', 'create', ...bridge, ...labels, '--subnet', subnet, `mcpr-${id}`]);
}

async function networks(): Promise<string[]> {
  const { stdout } = await exec('docker', ['network', 'ls', '--format', '{{.Name}}']);
  return stdout.split('\n').filter((name) => name === `mcpr-${ORPHAN}` || name === `mcpr-${STRANGER}`);
}

function client({ urls }: Deployment): RawClient {
  return new RawClient(urls.mcp, { 'x-api-key': service.apiKey });
}

describe('mcp-runner', () => {
  it('says how it is used, for each command, and refuses anything else with 64', async () => {
    const help = (await run(['--help'])).stdout;
    const commands = [...help.matchAll(/^ {2}([a-z:]+) /gm)].map(([, name]) => name ?? '');
    expect(commands).toEqual(['backup', 'restore', 'doctor', 'gc', 'publish:sourcemap']);
    const told = await Promise.all(commands.map((name) => run([name, '--help'])));
    expect(told.map(({ code, stdout }) => [code, stdout.split('\n')[0]])).toEqual(
      commands.map((name) => [0, expect.stringMatching(`^Usage: mcp-runner ${name}`)]),
    );
    const wrong = [['nope'], ['constructor'], ['backup'], ['gc', 'x'], ['doctor', '--nope']];
    const refused = await Promise.all(wrong.map((args) => run(args)));
    expect(refused).toEqual(
      wrong.map(() => ({
        code: 64,
        stdout: '',
        stderr: expect.stringMatching(/^mcp-runner: [^\n]+ See mcp-runner --help\.\n$/),
      })),
    );
    expect(await run(['gc'], { DATA_DIR: join(folder, 'none') })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no directory'),
    });
    expect(await run(['backup', 'x'], { PORT: 'x' })).toMatchObject({
      code: 64,
      stderr: 'Configuration: PORT must be a whole number from 0 to 65535, not "x"\n',
    });
  });

  it('doctor finds nothing beside a healthy service, and says what it looked at', async () => {
    expect(await findings()).toEqual({ code: 0, status: 'ok', bad: [] });
    const { stdout } = await run(['doctor']);
    expect(stdout).toMatch(/^ok {4}service: It runs as pid \d+, version \d+\.\d+\.\d+\.$/m);
    expect(stdout).toMatch(/^ok {4}runtime: Sandboxes run under gVisor\. It is \S+, registered as \//m);
  });

  it('doctor says how to mend an engine that is not there, within its time', async () => {
    const begun = Date.now();
    const { code, status, bad } = await findings({ DOCKER_SOCKET: join(folder, 'no.sock') });
    expect(Date.now() - begun).toBeLessThan(30_000);
    expect([code, status]).toEqual([2, 'fail']);
    expect(bad.find(({ name }) => name === 'engine')).toMatchObject({
      level: 'fail',
      message: expect.stringContaining('cannot be reached'),
      fix: expect.stringContaining('DOCKER_SOCKET'),
    });
  });

  it('gc removes what carries our label and has no row, and nothing else; doctor sees it', async () => {
    const instance = readFileSync(join(service.dataDir, 'instance-id'), 'utf8').trim();
    const home = join(service.dataDir, 'homes', `${ORPHAN}.img`);
    const subnet = (last: string): string => service.subnetPool.replace(/\d+\/\d+$/, last);
    const { id } = await service.create({ image, autoStart: false });
    try {
      await makeNetwork(ORPHAN, instance, subnet('240/29'));
      writeFileSync(home, '');
      expect(await findings()).toMatchObject({
        code: 1,
        status: 'warn',
        bad: [{ name: 'orphans', message: expect.stringContaining(ORPHAN) }],
      });
      await makeNetwork(STRANGER, 'another-instance', '192.168.234.0/29');
      expect((await run(['gc', '--dry-run'])).stdout).toBe(`would remove what was left of ${ORPHAN}\n`);
      expect(await networks()).toHaveLength(2);
      expect(await run(['gc'])).toEqual({
        code: 0,
        stdout: `removed what was left of ${ORPHAN}\n`,
        stderr: '',
      });
      expect(await networks()).toEqual([`mcpr-${STRANGER}`]);
      expect(existsSync(home)).toBe(false);
      expect((await run(['gc'])).stdout).toBe('There is nothing to remove.\n');
      expect((await service.get(id)).status).toBe('paused');
    } finally {
      for (const name of await networks()) await exec('docker', ['network', 'rm', name]);
      await service.delete(id);
    }
  });

  it('gc leaves alone what is just being made', async () => {
    const created = service.create({ image });
    const sweeps = [];
    for (let i = 0; i < 3; i += 1) sweeps.push((await run(['gc'])).stdout);
    expect(sweeps).toEqual(sweeps.map(() => 'There is nothing to remove.\n'));
    kept = await service.settled((await created).id);
    expect(kept.status).toBe('running');
  });

  it('backup and restore bring back deployments and sessions as they were, and the engine to match', async () => {
    const file = join(folder, 'state.tar');
    const user = client(kept);
    await user.open();
    const calls: Promise<string>[] = [];
    const backup = run(['backup', file]);
    const progress = { isDone: false };
    void backup.then(() => (progress.isDone = true));
    for (let i = 10; !progress.isDone; i += 1) {
      calls.push(user.call(i, 'echo', { text: `call ${i}` }).then(answerText));
      if (i % CALLS_AT_ONCE === 0) await Promise.all(calls);
    }
    expect((await backup).stderr).toBe('');
    expect((await backup).code).toBe(0);
    expect(await Promise.all(calls)).toEqual(calls.map((_, i) => `call ${i + 10}`));
    expect(statSync(file).mode & 0o777).toBe(0o600);

    // The new one gets the uid and the subnet of the one that goes.
    await service.delete(kept.id);
    const newer = await service.deploy({ image, name: 'newer' });
    expect(newer.network.subnet).toBe(kept.network.subnet);
    const writer = client(newer);
    await writer.open();
    expect(answerText(await writer.call(2, 'write', { text: 'note' }))).toBe('written');

    expect(await run(['restore', file])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^mcp-runner: A restore needs the service to be stopped\. .* \(pid \d+\) .*\n$/,
      ),
    });
    await service.kill();
    const restored = await run(['restore', file]);
    expect(restored).toMatchObject({ code: 0, stderr: '' });
    const aside = /mcp-runner restore (\S+)/.exec(restored.stdout)?.[1] ?? '';
    await service.restart();

    const back = await service.settled(kept.id);
    expect([back.status, back.network.subnet]).toEqual(['running', kept.network.subnet]);
    expect(answerText(await user.call(9, 'echo', { text: 'again' }))).toBe('again');
    expect((await service.api('GET', `/api/deployment/${newer.id}`)).status).toBe(404);
    const keptIn = aside.split('/').at(-1) ?? '';
    const left = (await findLeftovers(service, [newer])).filter((line) => !/^(\/etc\/|route)/.test(line));
    expect(left.filter((line) => !line.startsWith(`file ${keptIn}/logs/`))).toEqual([
      `file ${keptIn}/homes/${newer.id}.img`,
    ]);
    expect(await findings()).toMatchObject({ code: 0, bad: [] });

    // And back again, with what its home held.
    await service.kill();
    expect(await run(['restore', aside])).toMatchObject({ code: 0, stderr: '' });
    await service.restart();
    expect((await service.settled(newer.id)).status).toBe('running');
    expect(answerText(await writer.call(3, 'read'))).toBe('note');
    expect((await service.api('GET', `/api/deployment/${kept.id}`)).status).toBe(404);
  });
});

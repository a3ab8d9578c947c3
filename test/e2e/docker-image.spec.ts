import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callText, withClient } from '../support/client.js';
import { answerText, RawClient } from '../support/client-raw.js';
import { fixtureImage } from '../support/fixture-image.js';
import { type Deployment, Service } from '../support/service.js';
import { ServiceProcess } from '../support/service-process.js';
import { runArguments, runnerImage, ServiceContainer } from '../support/service-container.js';
import { findLeftovers } from '../support/service-leftovers.js';

const run = promisify(execFile);
const ROOT = new URL('../..', import.meta.url).pathname;
const CALL_MS = 4000;
/** What the unit of systemd and docs/operations.md give for accounts, and for the firewall. */
const ACCOUNTS = ['NET_ADMIN', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'AUDIT_WRITE'];

/** As it stands in the README that the project started from. */
const SEED = String.raw`docker run -d \
  --privileged \
  --network=host \
  --name mcp-runner-container \
  --restart=always \
  -e NODE_ENV=production \
  -e API_KEY=your-secure-api-key \
  -e BIND_IP=0.0.0.0 \
  -v /var/run/docker.sock:/var/run/docker.sock \
  -v /etc:/etc \
  -v /var/mcp-runner:/var/mcp-runner \
  tangierai/mcp-runner:latest`;

let image: string;
let server: string;
/** The next start is that of a process of the host, not of a container. */
let asProcess = false;
const containers: ServiceContainer[] = [];

beforeAll(async () => {
  image = runnerImage();
  server = await fixtureImage();
});

async function docker(...args: string[]): Promise<string> {
  return (await run('docker', args)).stdout.trim();
}

function publish(...variables: string[]): Promise<string> {
  const env = variables.flatMap((one) => ['-e', one]);
  return docker('run', '--rm', '--network=host', ...env, image, 'publish:sourcemap');
}

/** A service that runs in containers started with this command. */
function startWith(command: string): Promise<Service> {
  return Service.start({
    launch: (settings, print) => {
      if (asProcess) return new ServiceProcess(settings, false, print);
      const name = `mcp-runner-test-${settings['PORT']}`;
      const container = new ServiceContainer(name, runArguments(command, name, image, settings), print);
      containers.push(container);
      return container;
    },
  });
}

/** The name of the container that runs now. */
function current(): string {
  return containers.at(-1)?.name ?? '';
}

/** Create, call, pause, and call again: the next request wakes it. */
async function use(service: Service): Promise<Deployment & { accessToken: string }> {
  const deployment = await service.deploy({ image: server, warmProcesses: 0 });
  const echo = (text: string): Promise<string> =>
    withClient(deployment, (client) => callText(client, 'echo', { text }));
  expect(await echo('first')).toBe('first');
  const { status } = await service.api('POST', `/api/deployment/${deployment.id}/pause?wait=30`);
  expect(status).toBe(200);
  expect((await service.get(deployment.id)).status).toBe('paused');
  expect(await echo('awake')).toBe('awake');
  return { ...(await service.settled(deployment.id)), accessToken: deployment.accessToken };
}

describe('the image, run as the README of the seed says', () => {
  let service: Service;
  let deployment: Deployment & { accessToken: string };

  beforeAll(async () => {
    expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toContain(SEED);
    service = await startWith(SEED);
  });

  afterAll(() => service.stop());

  it('a deployment is created, called, paused and woken, under an account of the host', async () => {
    deployment = await use(service);
    const { name, uid, gid } = deployment.user;
    expect(readFileSync('/etc/passwd', 'utf8')).toContain(`${name}:x:${uid}:${gid}:`);
  });

  it('it says how it is: healthy to the engine, JSON lines on stdout', async () => {
    const test = JSON.parse(
      await docker('inspect', '--format', '{{json .Config.Healthcheck.Test}}', current()),
    ) as string[];
    expect(test[0]).toBe('CMD');
    expect(await docker('exec', current(), ...test.slice(1))).toBe('healthy');
    const wrong = docker('exec', '-e', 'PORT=1', current(), ...test.slice(1));
    await expect(wrong).rejects.toMatchObject({ code: 1 });
    const lines = (await docker('logs', current())).split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toContainEqual(
      expect.objectContaining({ context: 'Http' }),
    );
  });

  it('docker stop lets calls in flight end and ends with 0; the container that follows takes the sandbox over', async () => {
    const client = new RawClient(deployment.urls.mcp, {
      authorization: `Bearer ${deployment.accessToken}`,
    });
    await client.open();
    const answer = client.call(1, 'slow', { ms: CALL_MS, label: 'slow' });
    await expect.poll(async () => answerText(await client.call(2, 'echo', { text: 'there' }))).toBe('there');
    const [stopped] = containers.slice(-1);
    await service.restart();
    expect(answerText(await answer)).toBe('slow done');
    expect(stopped?.ended).toBe(0);
    expect(answerText(await client.call(3, 'echo', { text: 'after' }))).toBe('after');
    expect((await service.get(deployment.id)).sandbox).toEqual(deployment.sandbox);
  });

  it('after a crash the engine starts it again, and the sandbox is taken over', async () => {
    process.kill(service.pid, 'SIGKILL');
    await expect
      .poll(() => docker('inspect', '--format', '{{.RestartCount}} {{.State.Status}}', current()), {
        timeout: 30_000,
      })
      .toBe('1 running');
    await service.untilHealthy();
    expect((await service.get(deployment.id)).sandbox).toEqual(deployment.sandbox);
    expect(await withClient(deployment, (client) => callText(client, 'echo', { text: 'back' }))).toBe('back');
  });

  it('a process of the host takes it over as well, and a container takes it back, paused or not', async () => {
    const echo = (text: string): Promise<string> =>
      withClient(deployment, (client) => callText(client, 'echo', { text }));
    asProcess = true;
    try {
      await service.restart();
    } finally {
      asProcess = false;
    }
    expect((await service.get(deployment.id)).sandbox).toEqual(deployment.sandbox);
    expect(await echo('process')).toBe('process');
    await service.api('POST', `/api/deployment/${deployment.id}/pause?wait=30`);
    await service.restart();
    expect(await echo('container')).toBe('container');
    deployment = { ...deployment, ...(await service.settled(deployment.id)) };
  });

  it('a second container on the same data directory is refused', async () => {
    const settings = { DATA_DIR: service.dataDir, PORT: '0', API_KEY: service.apiKey };
    const second = runArguments(SEED, `${current()}-second`, image, settings);
    const args = second
      .filter((word) => word !== '-d' && word !== '--restart=always')
      .toSpliced(1, 0, '--rm');
    await expect(docker(...args)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`Another instance of mcp-runner`) as string,
    });
  });

  it('deleting leaves nothing, on the host or in the container', async () => {
    await service.delete(deployment.id);
    expect(await findLeftovers(service, [deployment])).toEqual([]);
    expect(await docker('exec', current(), 'losetup', '--list', '--noheadings')).not.toContain(deployment.id);
    expect(
      await docker('exec', current(), 'sh', '-c', 'cat /proc/[0-9]*/stat | cut -d" " -f3'),
    ).not.toContain('Z');
  });
});

describe('the image, run with the least that works', () => {
  /** As docs/operations.md has it. */
  const command = /```bash\n(docker run -d \\\n[^`]*--cap-drop ALL[^`]*)```/.exec(
    readFileSync(join(ROOT, 'docs/operations.md'), 'utf8'),
  )?.[1];

  it('a deployment is created, called, paused, woken and deleted, and nothing is left', async () => {
    const service = await startWith(command?.trim() ?? '');
    try {
      const deployment = await use(service);
      // No account without the host's /etc: the number alone.
      expect(deployment.user.name).toBeNull();
      await service.delete(deployment.id);
      expect(await findLeftovers(service, [deployment])).toEqual([]);
    } finally {
      await service.stop();
    }
  });

  it('docs/docker-compose.yml asks for the same', () => {
    const compose = readFileSync(join(ROOT, 'docs/docker-compose.yml'), 'utf8');
    const words = runArguments(command ?? '', 'mcp-runner-container', 'tangierai/mcp-runner:latest', {
      DATA_DIR: '/var/mcp-runner',
    });
    const valueOf = (word: string, i: number): string =>
      word.startsWith('-') ? (word.split('=')[1] ?? words[i + 1] ?? '') : '';
    const wanted = words.flatMap((word, i) =>
      /^--(cap-|device|security-opt|network|name|tmpfs)|^-v/.test(word) ? [valueOf(word, i)] : [],
    );
    expect(wanted.length).toBeGreaterThan(9);
    const values = compose.split('\n').map((line) => line.replace(/^ *(- |\w+: )/, '').replaceAll("'", ''));
    expect(values).toEqual(expect.arrayContaining(wanted));
    expect(compose).toContain('read_only: true');
    expect(compose).not.toContain('privileged');
  });
});

describe('the command line of the image', () => {
  it('publishes source maps with what the image has, and says what it lacks', async () => {
    await expect(publish()).rejects.toMatchObject({
      code: 64,
      stderr: expect.stringContaining('SENTRY_ORG is missing') as string,
    });
    // Nobody listens there; that is for the uploading program to find out.
    const variables = [
      'SENTRY_ORG=o',
      'SENTRY_PROJECT=p',
      'SENTRY_AUTH_TOKEN=sntrys_of-this-spec',
      'SENTRY_URL=http://127.0.0.1:9',
    ];
    await expect(publish(...variables)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('sentry-cli ended with exit code') as string,
    });
  });
});

describe('an /etc of another distribution over that of the image', () => {
  it('Node, the firewall, disks and accounts do without alternatives, modules and caches of this one', async () => {
    const etc = mkdtempSync(join(tmpdir(), 'mcp-runner-etc-'));
    try {
      writeFileSync(join(etc, 'passwd'), 'root:x:0:0:root:/root:/bin/bash\n');
      writeFileSync(join(etc, 'group'), 'root:x:0:\n');
      writeFileSync(join(etc, 'shadow'), 'root:*:1:0:99999:7:::\n', { mode: 0o600 });
      writeFileSync(join(etc, 'gshadow'), 'root:*::\n', { mode: 0o600 });
      writeFileSync(join(etc, 'nsswitch.conf'), 'passwd: files sss systemd\ngroup: files sss systemd\n');
      writeFileSync(join(etc, 'login.defs'), 'UID_MIN 1000\nSOME_SETTING_OF_TOMORROW yes\n');
      writeFileSync(join(etc, 'ld.so.cache'), 'glibc-ld.so.cache1.1 of another machine');
      symlinkSync('/run/systemd/resolve/stub-resolv.conf', join(etc, 'resolv.conf'));
      const tools = [
        'groupadd --gid 4000 mcp-x',
        'useradd --system --no-log-init --uid 4000 --gid 4000 --no-user-group --no-create-home mcp-x',
        'grep ^mcp-x: /etc/passwd',
        'userdel --force mcp-x',
        'for tool in losetup mkfs.ext4 e2fsck debugfs nft; do which $tool; done',
        'truncate -s 8M /tmp/disk && mkfs.ext4 -q -F -O ^has_journal /tmp/disk && e2fsck -f -y /tmp/disk',
        'nft list tables',
        'node --version',
      ];
      const capabilities = ACCOUNTS.flatMap((name) => ['--cap-add', name]);
      const args = ['--network=host', '--cap-drop', 'ALL', ...capabilities, '--entrypoint', 'sh'];
      const said = await docker('run', '--rm', '-v', `${etc}:/etc`, ...args, image, '-ec', tools.join('\n'));
      expect(said).toContain('mcp-x:x:4000:4000:');
      expect(said).toContain(process.version);
      expect(readFileSync(join(etc, 'passwd'), 'utf8')).toBe('root:x:0:0:root:/root:/bin/bash\n');
    } finally {
      rmSync(etc, { recursive: true });
    }
  });
});

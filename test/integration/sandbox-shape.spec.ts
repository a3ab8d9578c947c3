import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostCommand, never, SandboxHost } from '../support/sandbox-host.js';

const OWN_MOUNTS = [
  '/',
  '/.mcp-runner',
  '/dev',
  '/dev/pts',
  '/dev/shm',
  '/etc/hostname',
  '/etc/hosts',
  '/etc/resolv.conf',
  '/home/mcp',
  '/proc',
  '/run',
  '/sys',
  '/tmp',
  '/var/tmp',
];

/** The parts of `docker inspect` that are asserted. */
interface Inspect {
  Config: { User: string; Labels: Record<string, string> };
  HostConfig: Record<string, unknown>;
  Mounts: { Destination: string; RW: boolean }[];
  NetworkSettings: { Networks: Record<string, unknown>; Ports: object };
}

describe('a sandbox', () => {
  let host: SandboxHost;
  let sandbox: Awaited<ReturnType<SandboxHost['start']>>;
  let id: string;

  beforeAll(async () => {
    host = await SandboxHost.create();
    sandbox = await host.start();
    id = sandbox.deploymentId;
  });

  afterAll(async () => {
    await host.dispose();
  });

  it('is to Docker a gVisor container without capabilities, with limits and a network of its own', async () => {
    const [inspect] = JSON.parse(await hostCommand('docker', 'inspect', sandbox.containerId)) as [Inspect];
    const { uid, gid } = sandbox.spec.user;
    expect(inspect.Config.User).toBe(`${uid}:${gid}`);
    expect(inspect.Config.Labels['mcp-runner.deployment']).toBe(id);
    expect(inspect.HostConfig).toMatchObject({
      Runtime: 'runsc',
      CapDrop: ['ALL'],
      CapAdd: null,
      SecurityOpt: ['no-new-privileges'],
      Privileged: false,
      ReadonlyRootfs: true,
      Memory: 256 * 1024 * 1024,
      MemorySwap: 256 * 1024 * 1024,
      NanoCpus: 1e9,
      // The gVisor kernel's own threads count, too.
      PidsLimit: 128 + 128,
      PortBindings: null,
      Devices: null,
      RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
    });
    expect(Object.keys(inspect.NetworkSettings.Networks)).toEqual([sandbox.networkName]);
    expect(inspect.NetworkSettings.Ports).toEqual({});
    expect(inspect.Mounts.filter(({ RW }) => RW).map(({ Destination }) => Destination)).toEqual([
      '/home/mcp',
    ]);
  });

  it('has a system account behind its uid that nobody can log in with', async () => {
    const { name, uid, gid } = sandbox.spec.user;
    expect(sandbox.account).toBe(true);
    expect((await hostCommand('getent', 'passwd', name)).trim()).toBe(
      `${name}:x:${uid}:${gid}::/nonexistent:/usr/sbin/nologin`,
    );
  });

  it('runs the server under its uid, with a writable HOME and a read-only root', async () => {
    const facts = await host.script(
      id,
      `const fs = require('fs');
       const tried = (f) => { try { f(); return 'ok'; } catch (e) { return e.code; } };
       console.log(JSON.stringify({
         uid: process.getuid(), gid: process.getgid(), groups: process.getgroups(), home: process.env.HOME, cwd: process.cwd(),
         inHome: tried(() => fs.writeFileSync(process.env.HOME + '/f', 'x')),
         inTmp: tried(() => fs.writeFileSync('/tmp/f', 'x')),
         inRoot: tried(() => fs.writeFileSync('/f', 'x')),
         inApp: tried(() => fs.writeFileSync('/app/f', 'x')),
         inEtc: tried(() => fs.writeFileSync('/etc/f', 'x')),
         inBinaries: tried(() => fs.writeFileSync('/.mcp-runner/f', 'x')),
         home_: fs.readdirSync(process.env.HOME),
         socket: fs.existsSync('/var/run/docker.sock') || fs.existsSync('/run/docker.sock'),
         capabilities: /CapEff:\\s*(\\w+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1],
         gvisor: fs.readFileSync('/proc/version', 'utf8'),
       }));`,
    );
    const { uid, gid } = sandbox.spec.user;
    expect(JSON.parse(facts)).toEqual({
      uid,
      gid,
      groups: [gid],
      home: '/home/mcp',
      cwd: '/app',
      inHome: 'ok',
      inTmp: 'ok',
      inRoot: expect.stringMatching(/EROFS|EACCES/),
      inApp: expect.stringMatching(/EROFS|EACCES/),
      inEtc: expect.stringMatching(/EROFS|EACCES/),
      inBinaries: expect.stringMatching(/EROFS|EACCES/),
      home_: ['f'],
      socket: false,
      capabilities: '0000000000000000',
      gvisor: expect.stringContaining('Linux version'),
    });
  });

  it('has no mounts but its own', async () => {
    const mounts = await host.script(
      id,
      `console.log(require('fs').readFileSync('/proc/mounts', 'utf8').split('\\n').map((l) => l.split(' ')[1]).join('\\n'))`,
    );
    const foreign = mounts
      .split('\n')
      .filter((path) => !OWN_MOUNTS.includes(path) && !path.startsWith('/sys/fs/cgroup'));
    expect(foreign).toEqual([]);
  });

  it('shows a process nothing in any environment but what was given to it, the image and the neighbour', async () => {
    const neighbour = await host.spawn(id, ['node', '-e', 'setInterval(() => {}, 1000)'], { NEIGHBOUR: 'n' });
    const process = await host.spawn(
      id,
      [
        'node',
        '-e',
        `const fs = require('fs');
         const names = new Set();
         for (const pid of fs.readdirSync('/proc').filter((n) => /^\\d+$/.test(n))) {
           let text = ''; try { text = fs.readFileSync('/proc/' + pid + '/environ', 'utf8'); } catch {}
           for (const entry of text.split('\\0')) if (entry) names.add(entry.split('=')[0]);
         }
         console.log(JSON.stringify({ all: [...names].sort(), own: Object.keys(process.env).sort() }));`,
      ],
      { MINE: 'm' },
    );
    await process.exited;
    const { all, own } = JSON.parse(process.stdout) as { all: string[]; own: string[] };
    const image = ['HOME', 'HOSTNAME', 'MCP_RUNNER_PROCESS', 'NODE_EXTRA_CA_CERTS', 'PATH'];
    expect(own).toEqual([...image, 'MINE'].sort());
    // SHLVL and PWD: the shells of the launcher, before they become the server.
    expect(all.filter((name) => !['MINE', 'NEIGHBOUR', 'PWD', 'SHLVL', ...image].includes(name))).toEqual([]);
    await neighbour.process.end();
  });

  it('is found by its deployment, and unknown deployments are not', async () => {
    expect(await host.runtime.find(id, never)).toMatchObject({
      containerId: sandbox.containerId,
      command: ['node'],
    });
    expect(await host.runtime.list(never)).toEqual([{ deploymentId: id, inEngine: true }]);
    expect(await host.runtime.find('dp_unknown', never)).toBeUndefined();
    expect(await host.runtime.explainStop('dp_unknown', never)).toBeUndefined();
    expect(await host.runtime.explainStop(id, never)).toBeUndefined();
  });
});

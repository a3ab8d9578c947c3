import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../src/containers/sandbox-runtime.js';
import { hostCommand, never, SandboxHost } from '../support/sandbox-host.js';
import { connectTo, Neighbourhood } from '../support/sandbox-neighbourhood.js';
import type { SandboxRun } from '../support/sandbox-run.js';

/** One in each range that is not the internet. All of them are ours: they live in a namespace of this test. */
const PRIVATE = ['10.99.77.2', '172.30.77.2', '192.168.77.2', '169.254.77.2', '100.64.77.2', '198.18.77.2'];
/** Stands for the internet: documentation addresses, in the namespace, too. */
const PUBLIC = '203.0.113.2';
const RESOLVER = '192.168.78.2';
const PORT = 18_080;

/** Prints a JSON object of what became of each `tcp:host:port` and `udp:host:port`. */
const PROBE = `
  const tcp = (host, port) => new Promise((resolve) => {
    const s = require('net').connect({ host, port, timeout: 1500 });
    const end = (r) => { s.destroy(); resolve(r); };
    s.on('connect', () => end('open')).on('timeout', () => end('timeout')).on('error', (e) => end(e.code));
  });
  const udp = (host, port) => new Promise((resolve) => {
    const s = require('dgram').createSocket('udp4');
    const end = (r) => { clearTimeout(t); s.close(); resolve(r); };
    const t = setTimeout(() => end('timeout'), 1500);
    s.on('message', () => end('open')).on('error', (e) => end(e.code)).send('hello', port, host);
  });
  Promise.all(process.argv.slice(1).map(async (target) => {
    const [kind, host, port] = target.split(':');
    return [target, await (kind === 'tcp' ? tcp : udp)(host, Number(port))];
  })).then((all) => console.log(JSON.stringify(Object.fromEntries(all))));
`;

describe('the network of a sandbox', () => {
  let host: SandboxHost;
  let neighbourhood: Neighbourhood;
  let control: Server;
  let one: Sandbox;
  let two: Sandbox;
  let server: SandboxRun;
  let controlPort: number;

  async function probe(...targets: string[]): Promise<Record<string, string>> {
    return JSON.parse(await host.script(one.deploymentId, PROBE, ...targets)) as Record<string, string>;
  }

  async function reached(...targets: string[]): Promise<string[]> {
    const results = await probe(...targets);
    return targets.filter((target) => results[target] === 'open');
  }

  /** The same probes where the table is not there: what they show then is what the table is for. */
  async function reachedWithoutRules(...targets: string[]): Promise<string[]> {
    await host.dropFirewall();
    try {
      return await reached(...targets);
    } finally {
      await host.runtime.prepare(never);
    }
  }

  beforeAll(async () => {
    neighbourhood = await Neighbourhood.create([...PRIVATE, PUBLIC, RESOLVER], [PORT, 53]);
    host = await SandboxHost.create({ sandboxDns: [RESOLVER] });
    [one, two] = await Promise.all([host.start(), host.start()]);
    control = createServer((socket) => {
      // Probes hang up as soon as they are connected.
      socket.on('error', () => undefined).end('control');
    }).listen(0, '0.0.0.0');
    await new Promise((resolve) => control.once('listening', resolve));
    controlPort = (control.address() as { port: number }).port;
    const listen = `require('net').createServer((s) => s.end('hi')).listen(${PORT}, '0.0.0.0', () => console.log('up'))`;
    server = await host.spawn(two.deploymentId, ['node', '-e', listen]);
    await server.until(({ stdout }) => stdout !== '');
  });

  afterAll(async () => {
    await host.dispose();
    await neighbourhood.dispose();
    control.close();
  });

  it('reaches the internet', async () => {
    expect(await reached(`tcp:${PUBLIC}:${PORT}`, `udp:${PUBLIC}:${PORT}`)).toHaveLength(2);
  });

  it('lets this host reach the sandbox', async () => {
    expect(await connectTo(two.address, PORT)).toBe('open');
  });

  it('does not reach a listener of this host, on any of its addresses', async () => {
    const gateways = [one, two].map(({ address }) =>
      address.replace(/\d+$/, (last) => `${Number(last) - 1}`),
    );
    const others = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    const addresses = others
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map((a) => a.address);
    const targets = [...new Set([...gateways, ...addresses])].map(
      (address) => `tcp:${address}:${controlPort}`,
    );
    expect(targets.length).toBeGreaterThan(2);
    expect(await connectTo(gateways[0] ?? '', controlPort)).toBe('open');
    expect(await reached(...targets)).toEqual([]);
    expect(await reachedWithoutRules(...targets)).toEqual(targets);
  });

  it('does not reach this host over its own loopback', async () => {
    expect(await probe(`tcp:127.0.0.1:${controlPort}`)).toEqual({
      [`tcp:127.0.0.1:${controlPort}`]: 'ECONNREFUSED',
    });
  });

  it('does not reach another sandbox', async () => {
    expect(await reached(`tcp:${two.address}:${PORT}`)).toEqual([]);
  });

  it('does not reach private, shared, link-local and benchmark ranges', async () => {
    const targets = PRIVATE.flatMap((address) => [`tcp:${address}:${PORT}`, `udp:${address}:${PORT}`]);
    for (const address of PRIVATE) expect(await connectTo(address, PORT)).toBe('open');
    expect(await reached(...targets)).toEqual([]);
    expect(await reachedWithoutRules(...targets)).toEqual(targets);
  });

  it('reaches a private resolver that is configured, on port 53 and no other', async () => {
    const [tcp, udp] = [`tcp:${RESOLVER}:53`, `udp:${RESOLVER}:53`];
    expect(await reached(tcp, udp, `tcp:${RESOLVER}:${PORT}`, `udp:${RESOLVER}:${PORT}`)).toEqual([tcp, udp]);
    const resolvConf = `console.log(require('fs').readFileSync('/etc/resolv.conf', 'utf8'))`;
    expect(await host.script(one.deploymentId, resolvConf)).toBe(`nameserver ${RESOLVER}`);
  });

  it('does not reach this host with a forged source address either', async () => {
    const bridgePrefix = /dev (mcpr\w+-)/.exec(await hostCommand('ip', 'route', 'get', one.address))?.[1];
    const [source = '', target = ''] = [PRIVATE[0], PRIVATE[0]?.replace(/2$/, '1')];
    // The same packets from the same place, but for the name of the interface that they come in by.
    expect(await neighbourhood.connectFrom(source, target, controlPort, 'mcprtest-other')).toBe('open');
    expect(await neighbourhood.connectFrom(source, target, controlPort, `${bridgePrefix}test`)).toBe(
      'timeout',
    );
  });

  it('has no IPv6 but its own loopback', async () => {
    const addresses = await host.script(
      one.deploymentId,
      `console.log(Object.values(require('os').networkInterfaces()).flat().filter((a) => a.family === 'IPv6' && !a.internal && !a.address.startsWith('fe80')).length)`,
    );
    expect(addresses).toBe('0');
  });

  it('is reported as unprotected when the rules are taken away, and protected again by the next start', async () => {
    const firewall = async () =>
      (await host.runtime.check(never)).find(({ name }) => name === 'firewall')?.ok;
    expect(await firewall()).toBe(true);
    await host.dropFirewall();
    expect(await firewall()).toBe(false);
    await host.start();
    expect(await firewall()).toBe(true);
    expect(await reached(`tcp:${PRIVATE[0]}:${PORT}`)).toEqual([]);
  });
});

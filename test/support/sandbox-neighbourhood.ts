import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { hostCommand } from './sandbox-host.js';

const NAMESPACE = 'mcprtest';
const HERE = 'mcprtest-here';
const THERE = 'mcprtest-there';

/** Answers on TCP with one line, on UDP with an echo, on every address of its namespace. */
const SERVER = `
  const ports = process.argv.slice(1).map(Number);
  let open = 0;
  const up = () => { open += 1; if (open === 2 * ports.length) console.log('up'); };
  for (const port of ports) {
    require('net').createServer((s) => { s.on('error', () => {}); s.end('hello\\n'); }).listen(port, '0.0.0.0', up);
    const udp = require('dgram').createSocket('udp4');
    udp.on('message', (m, from) => udp.send(m, from.port, from.address)).bind(port, '0.0.0.0', up);
  }
`;

/** A machine of ours with addresses of many networks: a namespace behind a pair of interfaces. No packet leaves this host. */
export class Neighbourhood {
  private constructor(private readonly server: ChildProcess) {}

  static async create(addresses: string[], ports: number[]): Promise<Neighbourhood> {
    await remove();
    await hostCommand('ip', 'netns', 'add', NAMESPACE);
    await hostCommand('ip', 'link', 'add', HERE, 'type', 'veth', 'peer', 'name', THERE, 'netns', NAMESPACE);
    await hostCommand('ip', 'link', 'set', HERE, 'up');
    for (const link of [THERE, 'lo']) await hostCommand('ip', '-n', NAMESPACE, 'link', 'set', link, 'up');
    for (const address of addresses) {
      await hostCommand('ip', '-n', NAMESPACE, 'address', 'add', `${address}/30`, 'dev', THERE);
      await hostCommand('ip', 'address', 'add', `${nextTo(address)}/30`, 'dev', HERE);
    }
    const server = spawn(
      'ip',
      ['netns', 'exec', NAMESPACE, process.execPath, '-e', SERVER, ...ports.map(String)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(server.stdout, 'data');
    return new Neighbourhood(server);
  }

  /** What becomes of a connection from the namespace, when this host's end of the pair is called `link`. */
  async connectFrom(source: string, target: string, port: number, link: string): Promise<string> {
    const code = `const s = require('net').connect({ host: '${target}', port: ${port}, localAddress: '${source}', timeout: 1500 });
      const end = (r) => { console.log(r); process.exit(); };
      s.on('connect', () => end('open')).on('timeout', () => end('timeout')).on('error', (e) => end(e.code));`;
    await rename(HERE, link);
    try {
      return (await hostCommand('ip', 'netns', 'exec', NAMESPACE, process.execPath, '-e', code)).trim();
    } finally {
      await rename(link, HERE);
    }
  }

  async dispose(): Promise<void> {
    this.server.kill('SIGKILL');
    await once(this.server, 'close');
    await remove();
  }
}

/** Whether a TCP connection from this process succeeds: `open`, or why not. */
export function connectTo(address: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: 2000 });
    const end = (result: string): void => {
      socket.destroy();
      resolve(result);
    };
    socket.on('connect', () => end('open'));
    socket.on('timeout', () => end('timeout'));
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'error'));
  });
}

async function rename(from: string, to: string): Promise<void> {
  await hostCommand('ip', 'link', 'set', from, 'name', to);
}

/** This host's address in the /30 of a neighbour's: neighbours end in 2. */
function nextTo(address: string): string {
  return address.replace(/\.2$/, '.1');
}

async function remove(): Promise<void> {
  await hostCommand('ip', 'link', 'delete', HERE).catch(() => undefined);
  await hostCommand('ip', 'netns', 'delete', NAMESPACE).catch(() => undefined);
}

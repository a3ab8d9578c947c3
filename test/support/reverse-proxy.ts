import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from './own-place.js';

const DOCS = new URL('../../docs', import.meta.url).pathname;
const PROGRAM = new URL('distribution-program.sh', import.meta.url).pathname;
const POLL_MS = 50;
const START_MS = 30_000;
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** A reverse proxy of the distribution in front of a service, configured by the file that docs/ recommends. */
export class ReverseProxy {
  private constructor(
    /** Where clients come. */
    readonly port: number,
    private readonly folder: string,
    private readonly child: ChildProcess,
    private readonly output: string[],
  ) {}

  /**
   * nginx with docs/nginx.conf, in a configuration whose own timeouts are a second where nginx's are a minute: what lasts
   * longer lasts thanks to that file. On `plainPort` it serves the same service without any of that file's settings.
   */
  static async nginx(servicePort: number, port: number, plainPort: number): Promise<ReverseProxy> {
    const folder = mkdtempSync(join(tmpdir(), 'mcp-runner-nginx-'));
    mkdirSync(join(folder, 'logs'));
    const documented = changed(readFileSync(join(DOCS, 'nginx.conf'), 'utf8'), [
      ['server 127.0.0.1:3000;', `server 127.0.0.1:${servicePort};`],
      ['listen 80;', `listen 127.0.0.1:${port};`],
    ]);
    writeFileSync(join(folder, 'documented.conf'), documented);
    const temporary = TEMPORARY.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
    const short = 'proxy_read_timeout 1s; proxy_send_timeout 1s; client_body_timeout 1s; send_timeout 1s;';
    const plain = `server { listen 127.0.0.1:${plainPort}; location / { proxy_pass http://127.0.0.1:${servicePort}; } }`;
    const http = `${temporary} access_log off; ${short} include documented.conf; ${plain}`;
    const main = `user root root; daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr; events {}`;
    const file = join(folder, 'nginx.conf');
    writeFileSync(file, `${main} http { ${http} }`);
    const program = await programOf('nginx', '/usr/sbin/nginx');
    return ReverseProxy.run(port, folder, program, ['-p', folder, '-c', file, '-e', 'stderr']);
  }

  /** Caddy with docs/Caddyfile, without TLS and its administration endpoint. */
  static async caddy(servicePort: number, port: number): Promise<ReverseProxy> {
    const folder = mkdtempSync(join(tmpdir(), 'mcp-runner-caddy-'));
    const documented = changed(readFileSync(join(DOCS, 'Caddyfile'), 'utf8'), [
      ['\nmcp.example.com {', `\nhttp://:${port} {`],
      ['reverse_proxy 127.0.0.1:3000', `reverse_proxy 127.0.0.1:${servicePort}`],
    ]);
    const file = join(folder, 'Caddyfile');
    writeFileSync(file, `{\n\tadmin off\n}\n${documented}`);
    const program = await programOf('caddy', '/usr/bin/caddy');
    return ReverseProxy.run(port, folder, program, ['run', '--config', file, '--adapter', 'caddyfile']);
  }

  private static async run(
    port: number,
    folder: string,
    program: string,
    args: string[],
  ): Promise<ReverseProxy> {
    const child = spawn(program, args, {
      env: { HOME: folder, PATH: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => output.push(text));
    }
    child.on('error', (error) => output.push(error.message));
    const proxy = new ReverseProxy(port, folder, child, output);
    try {
      await proxy.untilServing();
    } catch (error) {
      await proxy.stop();
      throw error;
    }
    return proxy;
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      // At once, whatever streams are open.
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), START_MS);
      await exited;
      clearTimeout(late);
    }
    rmSync(this.folder, { recursive: true });
  }

  private async untilServing(): Promise<void> {
    for (const until = Date.now() + START_MS; Date.now() < until; await delay(POLL_MS)) {
      if (this.child.exitCode !== null || this.child.pid === undefined) break;
      const answer = await fetch(`http://127.0.0.1:${this.port}/health`).catch(() => undefined);
      if (answer?.ok) return;
    }
    throw new Error(`The reverse proxy does not serve:\n${this.output.join('')}`);
  }
}

/** Ports for a proxy, known before there is a service to be told of them. */
export async function proxyPorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, freePort));
}

async function programOf(name: string, path: string): Promise<string> {
  return (await promisify(execFile)(PROGRAM, [name, path])).stdout.trim();
}

/** The text with each of these words, which must stand in it exactly once, replaced. */
function changed(text: string, words: [from: string, to: string][]): string {
  return words.reduce((result, [from, to]) => {
    if (result.split(from).length !== 2) throw new Error(`Not exactly once in the documented file: ${from}`);
    return result.replace(from, to);
  }, text);
}

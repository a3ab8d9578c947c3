import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Config } from '../../src/config/config.js';
import { DockerRuntime } from '../../src/containers/docker/docker-runtime.js';
import type { SandboxProcess, SandboxSpec } from '../../src/containers/sandbox-runtime.js';
import { npmImage } from '../support/fixture-image.js';
import { type Conversation, echoedText, INITIALIZE, type Target } from './target.js';

const DEPLOYMENT_ID = 'dp_bench_floor';

/** Straight to the process's stdin and stdout, with nothing of ours between but the engine's stream. */
export class FloorTarget implements Target {
  readonly name = 'raw exec stream, in gVisor (the floor)';

  private constructor(
    private readonly runtime: DockerRuntime,
    private readonly spec: SandboxSpec,
    private readonly dataDir: string,
  ) {}

  static async start(packageAtVersion: string): Promise<FloorTarget> {
    const image = await npmImage(packageAtVersion);
    const dataDir = mkdtempSync(join(tmpdir(), 'mcp-runner-bench-'));
    const config = Object.assign(new Config(), { dataDir, sandboxSubnetPool: '10.212.0.0/20' });
    const runtime = new DockerRuntime(config);
    const signal = AbortSignal.timeout(120_000);
    await runtime.prepare(signal);
    const spec = {
      deploymentId: DEPLOYMENT_ID,
      image,
      limits: { memoryMb: 8192, cpus: 2, pids: 4096, diskMb: 256 },
      user: { name: 'mcp-bench', uid: 299_999, gid: 299_999 },
      subnet: '10.212.0.8/29',
    };
    await runtime.start(spec, () => undefined, signal);
    return new FloorTarget(runtime, spec, dataDir);
  }

  async open(): Promise<Conversation> {
    const process = await this.runtime.spawn(DEPLOYMENT_ID, { env: {} }, AbortSignal.timeout(30_000));
    const conversation = new StdioConversation(process);
    await conversation.call('initialize', INITIALIZE);
    conversation.notify('notifications/initialized');
    return conversation;
  }

  async settle(): Promise<void> {}

  async stop(): Promise<void> {
    await this.runtime.remove(this.spec, AbortSignal.timeout(60_000));
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

class StdioConversation implements Conversation {
  private readonly waiting = new Map<number, (message: unknown) => void>();
  private rest = '';
  private nextId = 1;

  constructor(private readonly process: SandboxProcess) {
    process.attach({
      stdout: (chunk) => this.receive(chunk.toString()),
      stderr: () => undefined,
      drain: () => undefined,
      exit: () => undefined,
    });
  }

  call(method: string, params: object): Promise<unknown> {
    const id = this.nextId++;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.process.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    });
  }

  notify(method: string): void {
    this.process.write(`${JSON.stringify({ jsonrpc: '2.0', method })}\n`);
  }

  async echo(message: string): Promise<string> {
    return echoedText(await this.call('tools/call', { name: 'echo', arguments: { message } }));
  }

  close(): Promise<void> {
    return this.process.end();
  }

  private receive(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as { id?: number };
      this.waiting.get(message.id ?? 0)?.(message);
    }
  }
}

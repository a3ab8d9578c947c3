import type { SandboxProcess } from '../../src/containers/sandbox-runtime.js';
import { npmImage } from '../support/fixture-image.js';
import { SandboxHost } from '../support/sandbox-host.js';
import { type Conversation, echoedText, INITIALIZE, type Target } from './target.js';

/** Straight to the process's stdin and stdout, with nothing of ours between but the engine's stream. */
export class FloorTarget implements Target {
  readonly name = 'raw exec stream, in gVisor (the floor)';

  private constructor(
    private readonly host: SandboxHost,
    private readonly deploymentId: string,
  ) {}

  static async start(packageAtVersion: string): Promise<FloorTarget> {
    const image = await npmImage(packageAtVersion);
    const host = await SandboxHost.create({ sandboxSubnetPool: '10.212.0.0/20' });
    const limits = { memoryMb: 8192, cpus: 2, pids: 4096, diskMb: 256 };
    const { deploymentId } = await host.start({ image, limits });
    return new FloorTarget(host, deploymentId);
  }

  async open(): Promise<Conversation> {
    const process = await this.host.runtime.spawn(
      this.deploymentId,
      { env: {} },
      AbortSignal.timeout(30_000),
    );
    const conversation = new StdioConversation(process);
    await conversation.call('initialize', INITIALIZE);
    conversation.notify('notifications/initialized');
    return conversation;
  }

  async settle(): Promise<void> {}

  stop(): Promise<void> {
    return this.host.dispose();
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

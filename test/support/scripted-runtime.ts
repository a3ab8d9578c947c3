import type {
  RuntimeCheck,
  Sandbox,
  SandboxIdentity,
  SandboxProcess,
  SandboxSpec,
} from '../../src/containers/sandbox-runtime.js';
import { SandboxRuntime } from '../../src/containers/sandbox-runtime.js';

type Verb = 'start' | 'find' | 'explainStop' | 'remove' | 'killStrays' | 'list';

/** An engine in memory whose verbs can be made to fail or to wait. For the tests of those who call the port. */
export class ScriptedRuntime extends SandboxRuntime {
  readonly sandboxes = new Map<string, Sandbox>();
  readonly calls: string[] = [];
  stopReason: 'out_of_memory' | 'stopped' | undefined = 'stopped';
  checks: RuntimeCheck[] = [{ name: 'engine', ok: true, message: 'It answers.' }];
  startsNow = 0;
  mostStartsAtOnce = 0;
  private readonly scripts = new Map<Verb, (() => Promise<void>)[]>();
  private containers = 0;

  /** The next call of `verb` runs `script` first; what it throws, the verb throws. */
  next(verb: Verb, script: () => Promise<void>): void {
    this.scripts.set(verb, [...(this.scripts.get(verb) ?? []), script]);
  }

  failNext(verb: Verb, error: Error): void {
    this.next(verb, () => Promise.reject(error));
  }

  override prepare(): Promise<void> {
    this.calls.push('prepare');
    return Promise.resolve();
  }

  override async start(
    spec: SandboxSpec,
    onProgress: (message: string) => void,
    signal: AbortSignal,
  ): Promise<Sandbox> {
    this.startsNow += 1;
    this.mostStartsAtOnce = Math.max(this.mostStartsAtOnce, this.startsNow);
    try {
      onProgress('Creating the network.');
      await this.play('start', spec.deploymentId);
      signal.throwIfAborted();
    } finally {
      this.startsNow -= 1;
    }
    this.containers += 1;
    const sandbox: Sandbox = {
      deploymentId: spec.deploymentId,
      containerId: `container-${this.containers}`,
      runtime: 'runsc',
      networkName: `net-${spec.deploymentId}`,
      address: '10.213.0.2',
      entrypoint: ['server'],
      command: [],
      imageId: 'sha256:0',
      account: true,
    };
    this.sandboxes.set(spec.deploymentId, sandbox);
    return sandbox;
  }

  override async find(deploymentId: string): Promise<Sandbox | undefined> {
    await this.play('find', deploymentId);
    return this.sandboxes.get(deploymentId);
  }

  override async explainStop(deploymentId: string): Promise<'out_of_memory' | 'stopped' | undefined> {
    await this.play('explainStop', deploymentId);
    return this.stopReason;
  }

  override async remove(identity: SandboxIdentity): Promise<void> {
    await this.play('remove', identity.deploymentId);
    this.sandboxes.delete(identity.deploymentId);
  }

  override spawn(): Promise<SandboxProcess> {
    return Promise.reject(new Error('the scripted runtime has no processes'));
  }

  override async killStrays(deploymentId: string): Promise<void> {
    await this.play('killStrays', deploymentId);
  }

  override async list(): Promise<string[]> {
    await this.play('list', '');
    return [...this.sandboxes.keys()];
  }

  override check(): Promise<RuntimeCheck[]> {
    this.calls.push('check');
    return Promise.resolve(this.checks);
  }

  private async play(verb: Verb, id: string): Promise<void> {
    this.calls.push(`${verb} ${id}`.trim());
    // Let others come between, as a real engine does.
    await new Promise((resolve) => setImmediate(resolve));
    await this.scripts.get(verb)?.shift()?.();
  }
}

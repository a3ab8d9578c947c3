import type {
  EngineCall,
  LiveLimits,
  RuntimeCheck,
  RuntimeVitals,
  Sandbox,
  SandboxIdentity,
  SandboxProcess,
  SandboxSpec,
  SandboxTrace,
  SandboxUsage,
} from '../../src/containers/sandbox-runtime.js';
import { SandboxRuntime } from '../../src/containers/sandbox-runtime.js';
import { AppError } from '../../src/errors/app-error.js';

type Verb = 'start' | 'find' | 'explainStop' | 'stop' | 'resize' | 'usage' | 'remove' | 'killStrays' | 'list';

/** An engine in memory whose verbs can be made to fail or to wait. For the tests of those who call the port. */
export class ScriptedRuntime extends SandboxRuntime {
  readonly sandboxes = new Map<string, Sandbox>();
  readonly calls: string[] = [];
  stopReason: 'out_of_memory' | 'stopped' | undefined = 'stopped';
  /** What the image's name leads to. */
  imageId = 'sha256:0';
  used: SandboxUsage = {
    memoryBytes: 50_000_000,
    memoryLimitBytes: 536_870_912,
    cpuSeconds: 1.5,
    cpuPercent: 20,
    cpuWindowMs: 250,
    cpuLimit: 1,
    tasks: 34,
    taskLimit: 384,
    network: { receivedBytes: 100, sentBytes: 200 },
  };
  usedDisk: number | undefined = 4096;
  checks: RuntimeCheck[] = [{ name: 'engine', ok: true, message: 'It answers.' }];
  startsNow = 0;
  mostStartsAtOnce = 0;
  private readonly scripts = new Map<Verb, (() => Promise<void>)[]>();
  private readonly deathListeners = new Set<(deploymentId: string) => void>();
  private readonly returnListeners = new Set<() => void>();
  private readonly callListeners = new Set<(call: EngineCall) => void>();
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

  override attach(): Promise<void> {
    this.calls.push('attach');
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
      imageId: this.imageId,
      account: true,
      limits: { memoryMb: spec.limits.memoryMb, cpus: spec.limits.cpus, pids: spec.limits.pids },
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

  override async stop(identity: SandboxIdentity): Promise<void> {
    await this.play('stop', identity.deploymentId);
    this.sandboxes.delete(identity.deploymentId);
  }

  override async resize(deploymentId: string, limits: LiveLimits): Promise<void> {
    await this.play('resize', deploymentId);
    const sandbox = this.sandboxes.get(deploymentId);
    if (!sandbox) throw new AppError('sandbox_gone');
    sandbox.limits = limits;
  }

  override async usage(deploymentId: string): Promise<SandboxUsage> {
    await this.play('usage', deploymentId);
    if (!this.sandboxes.has(deploymentId)) throw new AppError('sandbox_gone');
    return this.used;
  }

  override diskUsage(): Promise<number | undefined> {
    return Promise.resolve(this.usedDisk);
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

  override async list(): Promise<SandboxTrace[]> {
    await this.play('list', '');
    return [...this.sandboxes.keys()].map((deploymentId) => ({ deploymentId, inEngine: true }));
  }

  override onDeath(listener: (deploymentId: string) => void): () => void {
    this.deathListeners.add(listener);
    return () => this.deathListeners.delete(listener);
  }

  override onReturn(listener: () => void): () => void {
    this.returnListeners.add(listener);
    return () => this.returnListeners.delete(listener);
  }

  /** The sandbox dies, and whoever listens is told. */
  die(deploymentId: string): void {
    this.sandboxes.delete(deploymentId);
    for (const listener of this.deathListeners) listener(deploymentId);
  }

  /** The engine is back after it was away. */
  comeBack(): void {
    for (const listener of this.returnListeners) listener();
  }

  override check(): Promise<RuntimeCheck[]> {
    this.calls.push('check');
    return Promise.resolve(this.checks);
  }

  override vitals(): RuntimeVitals {
    return { isUp: true, processes: 0 };
  }

  override onEngineCall(listener: (call: EngineCall) => void): () => void {
    this.callListeners.add(listener);
    return () => this.callListeners.delete(listener);
  }

  /** The engine was called, and whoever listens is told. */
  tellCall(call: EngineCall): void {
    for (const listener of this.callListeners) listener(call);
  }

  private async play(verb: Verb, id: string): Promise<void> {
    this.calls.push(`${verb} ${id}`.trim());
    // Let others come between, as a real engine does.
    await new Promise((resolve) => setImmediate(resolve));
    await this.scripts.get(verb)?.shift()?.();
  }
}

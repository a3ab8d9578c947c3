import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Config } from '../../config/config.js';
import { AppError } from '../../errors/app-error.js';
import {
  type EngineCall,
  type LiveLimits,
  type ProcessSpec,
  type RuntimeCheck,
  type RuntimeVitals,
  type Sandbox,
  type SandboxIdentity,
  type SandboxProcess,
  SandboxRuntime,
  type SandboxSpec,
  type SandboxTrace,
  type SandboxUsage,
} from '../sandbox-runtime.js';
import { Engine } from './engine.js';
import { Firewall } from './firewall.js';
import { SandboxHomes } from './home.js';
import {
  foldersIn,
  type HostFolders,
  instanceIdIn,
  knownInstanceIn,
  prepareFolders,
  requireHostTools,
} from './host-preparation.js';
import { killAllCommand } from './launcher.js';
import { DeathWatch } from './death-watch.js';
import { refuseOverlaps } from './pool-overlap.js';
import type { ExecProcess } from './process.js';
import { ProcessSignals } from './process-signals.js';
import { checkHost, requireRuntime } from './runtime-checks.js';
import { killContainer, SandboxContainers } from './sandbox-containers.js';
import { goneOr, runInside } from './sandbox-exec.js';
import { resizeSandbox } from './sandbox-limits.js';
import { SandboxNetwork } from './network.js';
import { SandboxStart } from './sandbox-start.js';
import { usageOf } from './sandbox-usage.js';
import { spawnProcess } from './spawn.js';
import { SystemAccounts } from './system-account.js';

const KILL_ALL_MS = 10_000;

/** Everything that carries the instance's id. */
interface Parts {
  containers: SandboxContainers;
  networks: SandboxNetwork;
  homes: SandboxHomes;
  start: SandboxStart;
  deathWatch: DeathWatch;
}

/** Sandboxes as Docker containers under gVisor, with one network, account and disk each. */
@Injectable()
export class DockerRuntime extends SandboxRuntime implements OnApplicationShutdown {
  private readonly engine: Engine;
  private readonly firewall: Firewall;
  private readonly folders: HostFolders;
  private readonly accounts = new SystemAccounts();
  private readonly signals: ProcessSignals;
  /** By container: processes that run, as far as their streams tell. */
  private readonly processes = new Map<string, Set<ExecProcess>>();
  private prepared: Parts | undefined;
  /** Running sandboxes, so that starting a process asks the engine nothing else. Only a hint: the engine is the judge. */
  private readonly known = new Map<string, Sandbox>();
  private readonly deathListeners = new Set<(deploymentId: string) => void>();
  private readonly returnListeners = new Set<() => void>();
  private readonly callListeners = new Set<(call: EngineCall) => void>();

  constructor(private readonly config: Config) {
    super();
    // Its listeners are called when events are followed again, by `followedAgain` below.
    this.engine = new Engine(
      config.dockerSocket,
      () => this.prepared?.deathWatch.followAnew(),
      (call) => {
        for (const listener of this.callListeners) listener(call);
      },
    );
    this.signals = new ProcessSignals(this.engine);
    this.firewall = new Firewall(config.sandboxSubnetPool, config.sandboxDns);
    this.folders = foldersIn(config.dataDir);
  }

  override async prepare(signal: AbortSignal): Promise<void> {
    await requireRuntime(this.engine, this.config, signal);
    await requireHostTools();
    await prepareFolders(this.config);
    const instance = await instanceIdIn(this.config.dataDir);
    await refuseOverlaps(this.engine, instance, this.config.sandboxSubnetPool, signal);
    await this.firewall.apply();
    await this.prepared?.deathWatch.stop();
    this.prepared = this.partsOf(instance);
    this.prepared.deathWatch.start();
  }

  override async attach(): Promise<void> {
    this.prepared ??= this.partsOf(await knownInstanceIn(this.config.dataDir));
  }

  override async start(
    spec: SandboxSpec,
    onProgress: (message: string) => void,
    signal: AbortSignal,
  ): Promise<Sandbox> {
    this.known.delete(spec.deploymentId);
    const sandbox = await this.parts.start.run(spec, onProgress, signal);
    this.known.set(spec.deploymentId, sandbox);
    return sandbox;
  }

  override async find(deploymentId: string, signal: AbortSignal): Promise<Sandbox | undefined> {
    const sandbox = await this.parts.containers.findRunning(deploymentId, signal);
    if (sandbox === undefined) this.tellDeath(this.known.get(deploymentId)?.containerId);
    else this.known.set(deploymentId, sandbox);
    return sandbox;
  }

  override async explainStop(
    deploymentId: string,
    signal: AbortSignal,
  ): Promise<'out_of_memory' | 'stopped' | undefined> {
    const { containers, deathWatch } = this.parts;
    const stopped = await containers.findStopped(deploymentId, signal);
    if (stopped === undefined) return undefined;
    return stopped.oomKilled || deathWatch.hasKilled(stopped.containerId) ? 'out_of_memory' : 'stopped';
  }

  override async stop(identity: SandboxIdentity, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.known.delete(identity.deploymentId);
    await this.parts.start.clear(identity, 'all but account and home');
  }

  override async resize(deploymentId: string, limits: LiveLimits, signal: AbortSignal): Promise<void> {
    const sandbox = await this.find(deploymentId, signal);
    if (sandbox === undefined) throw new AppError('sandbox_gone');
    await resizeSandbox(this.engine, sandbox, limits, signal);
  }

  override async usage(deploymentId: string, signal: AbortSignal): Promise<SandboxUsage> {
    const known = this.known.get(deploymentId) ?? (await this.find(deploymentId, signal));
    if (known === undefined) throw new AppError('sandbox_gone');
    return usageOf(this.engine, known, signal);
  }

  override diskUsage(deploymentId: string): Promise<number | undefined> {
    return this.parts.homes.usedBytes(deploymentId);
  }

  override async remove(identity: SandboxIdentity, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.known.delete(identity.deploymentId);
    await this.parts.start.clear(identity, 'everything');
  }

  override async spawn(
    deploymentId: string,
    spec: ProcessSpec,
    signal: AbortSignal,
  ): Promise<SandboxProcess> {
    const known = this.known.get(deploymentId) ?? (await this.find(deploymentId, signal));
    if (known === undefined) throw new AppError('sandbox_gone');
    try {
      return this.hold(known.containerId, await spawnProcess(this.engine, this.signals, known, spec, signal));
    } catch (error) {
      if (error instanceof AppError && error.code === 'sandbox_gone') this.tellDeath(known.containerId);
      throw error;
    }
  }

  override async killStrays(deploymentId: string, signal: AbortSignal): Promise<void> {
    const sandbox = await this.find(deploymentId, signal);
    if (sandbox === undefined) return;
    const { containerId } = sandbox;
    const { code } = await runInside(this.engine, containerId, killAllCommand(), signal, KILL_ALL_MS).catch(
      (error: unknown) => {
        throw goneOr(error);
      },
    );
    // What survives SIGKILL is a sandbox beyond repair; its end is seen and it is started again.
    if (code !== 0) await killContainer(this.engine, containerId);
  }

  override async list(signal: AbortSignal): Promise<SandboxTrace[]> {
    const { containers, homes } = this.parts;
    const [inEngine, withHome] = await Promise.all([containers.listDeployments(signal), homes.list()]);
    const all = new Set([...inEngine, ...withHome]);
    return [...all].map((deploymentId) => ({ deploymentId, inEngine: inEngine.has(deploymentId) }));
  }

  override onDeath(listener: (deploymentId: string) => void): () => void {
    this.deathListeners.add(listener);
    return () => this.deathListeners.delete(listener);
  }

  override onReturn(listener: () => void): () => void {
    this.returnListeners.add(listener);
    return () => this.returnListeners.delete(listener);
  }

  override check(signal: AbortSignal): Promise<RuntimeCheck[]> {
    return checkHost(this.engine, this.firewall, this.config, signal);
  }

  override vitals(): RuntimeVitals {
    let processes = 0;
    for (const ofContainer of this.processes.values()) processes += ofContainer.size;
    return { isUp: !this.engine.isAway, processes };
  }

  override onEngineCall(listener: (call: EngineCall) => void): () => void {
    this.callListeners.add(listener);
    return () => this.callListeners.delete(listener);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.prepared?.deathWatch.stop();
    await this.engine.close();
  }

  private hold(containerId: string, process: ExecProcess): ExecProcess {
    const processes = this.processes.get(containerId) ?? new Set();
    this.processes.set(containerId, processes.add(process));
    void this.forgetWhenGone(containerId, process, processes);
    return process;
  }

  private async forgetWhenGone(
    containerId: string,
    process: ExecProcess,
    processes: Set<ExecProcess>,
  ): Promise<void> {
    await process.gone;
    processes.delete(process);
    if (processes.size === 0) this.processes.delete(containerId);
  }

  private loseAll(containerId: string): void {
    for (const process of this.processes.get(containerId) ?? []) process.lose();
    this.tellDeath(containerId);
  }

  /** Of one that is thought to run: what was stopped or replaced here is known no more. */
  private tellDeath(containerId: string | undefined): void {
    const sandbox = [...this.known.values()].find((known) => known.containerId === containerId);
    if (sandbox === undefined) return;
    this.known.delete(sandbox.deploymentId);
    for (const listener of this.deathListeners) listener(sandbox.deploymentId);
  }

  private get parts(): Parts {
    if (this.prepared === undefined) {
      throw new AppError('runtime_unavailable', { detail: 'The host is not prepared yet.' });
    }
    return this.prepared;
  }

  private partsOf(instance: string): Parts {
    const containers = new SandboxContainers(this.engine, instance);
    const networks = new SandboxNetwork(this.engine, instance, this.config.sandboxSubnetPool);
    const homes = new SandboxHomes(this.engine, instance, this.folders.homes);
    const deathWatch = new DeathWatch(this.engine, instance, {
      died: (containerId) => this.loseAll(containerId),
      followedAgain: () => {
        for (const listener of this.returnListeners) listener();
      },
    });
    const { engine, folders, firewall, accounts, config } = this;
    const host = { engine, instance, folders, runtime: config.sandboxRuntime };
    const start = new SandboxStart(host, { containers, networks, homes, accounts, firewall, deathWatch });
    return { containers, networks, homes, start, deathWatch };
  }
}

/** What a deployment's sandbox is to be. Fixed for the life of the sandbox. */
export interface SandboxSpec {
  deploymentId: string;
  /** Image reference as the user wrote it. */
  image: string;
  limits: SandboxLimits;
  user: SandboxUser;
  /** The /29 of our pool that this deployment owns, for example `10.213.0.8/29`. */
  subnet: string;
}

export interface SandboxLimits {
  memoryMb: number;
  cpus: number;
  pids: number;
  diskMb: number;
}

/** Those that a running sandbox may be given anew. */
export type LiveLimits = Omit<SandboxLimits, 'diskMb'>;

export interface SandboxUser {
  /** Account name, `mcp-…`; exists in /etc/passwd only where `Sandbox.account` says so. */
  name: string;
  uid: number;
  gid: number;
}

/** A sandbox that runs. */
export interface Sandbox {
  deploymentId: string;
  containerId: string;
  /** Name of the OCI runtime that runs it, for example `runsc`. */
  runtime: string;
  networkName: string;
  /** IPv4 address inside its own network. */
  address: string;
  /** The image's ENTRYPOINT and CMD, as they are in the image. */
  entrypoint: string[];
  command: string[];
  /** Content id of the image, `sha256:…`. */
  imageId: string;
  /** True: a system account stands behind the uid. */
  account: boolean;
  /** As they are now. */
  limits: LiveLimits;
}

/** The names under which a deployment's resources are found again, running or not. */
export type SandboxIdentity = Pick<SandboxSpec, 'deploymentId' | 'user' | 'subnet'>;

export interface ProcessSpec {
  /** In place of the image's CMD; undefined keeps it. */
  args?: string[];
  /** Only this process sees them. */
  env: Record<string, string>;
}

export interface ProcessExit {
  /** Exit code, 128 + n for signal n; undefined where the engine could not tell. */
  code: number | undefined;
}

/** Callbacks are never called before `attach` and never after `exit`. A chunk may end anywhere, also inside a character. */
export interface ProcessHandlers {
  stdout(chunk: Buffer): void;
  stderr(chunk: Buffer): void;
  /** stdin takes data again after `write` returned false. */
  drain(): void;
  /** The last call. It comes exactly once, also when the sandbox or the engine went away. */
  exit(exit: ProcessExit): void;
}

/** One process in a sandbox: lives on its own, dies alone. */
export interface SandboxProcess {
  /** Output waits (with back-pressure on the process) until this is called, once. */
  attach(handlers: ProcessHandlers): void;
  /** Queue bytes for stdin. False: hold further writes until `drain`. After exit: ignored. */
  write(data: string | Buffer): boolean;
  /** Stop and resume reading the output; the process blocks when its pipe is full. */
  pause(): void;
  resume(): void;
  /**
   * End it as the MCP specification says: close stdin, wait, SIGTERM, wait, SIGKILL to its process group, then check
   * that nothing of the group is left. Idempotent; resolves when it is gone, within about `2 * graceMs` + 3 s.
   */
  end(graceMs?: number): Promise<void>;
}

/** What is left of a deployment. */
export interface SandboxTrace {
  deploymentId: string;
  /** False: only the content of its HOME. */
  inEngine: boolean;
}

/** What a sandbox that runs uses; null: it cannot be told. */
export interface SandboxUsage {
  memoryBytes: number | null;
  memoryLimitBytes: number | null;
  /** Since its start. */
  cpuSeconds: number | null;
  /** Of one CPU, over `cpuWindowMs` just now: 150 is one and a half. */
  cpuPercent: number | null;
  cpuWindowMs: number | null;
  cpuLimit: number;
  /** What counts against its limit of processes, and that limit, in which there is room for the runtime's own. */
  tasks: number | null;
  taskLimit: number | null;
  /** Since its start. */
  network: { receivedBytes: number; sentBytes: number } | null;
}

/** One thing /health reports. `message` says how to mend it. */
export interface RuntimeCheck {
  name: 'engine' | 'runtime' | 'firewall';
  ok: boolean;
  message: string;
}

/** What can be said at once, as far as is known. */
export interface RuntimeVitals {
  /** The engine answers. */
  isUp: boolean;
  /** Server processes that run. */
  processes: number;
}

/** One call that was made to the engine. */
export interface EngineCall {
  /** What was asked, one of a few dozen words at most, for example `create_container`. */
  verb: string;
  seconds: number;
  /** `refused`: it answered, with an error · `failed`: it did not answer, or nobody waited for it any more. */
  outcome: 'ok' | 'refused' | 'failed';
}

/**
 * Where sandboxes live. Every verb is idempotent, obeys its signal, throws `AppError` with a code of the registry, and
 * touches only what carries the label of this instance.
 */
export abstract class SandboxRuntime {
  /** Prepare the host once at start: binaries, resolv.conf, firewall. Throws where sandboxes would be unsafe. */
  abstract prepare(signal: AbortSignal): Promise<void>;

  /**
   * In place of `prepare`, for a command beside the service: makes `list` and `remove` work and changes nothing. Throws
   * when there was no service in this data directory yet.
   */
  abstract attach(): Promise<void>;

  /**
   * Make the sandbox run: image (pulled if missing), account, network, home, container. Whatever is left of an earlier
   * attempt is replaced. When a step fails, everything it made is removed again before it throws.
   * `onProgress` gets one short sentence at a time ("Pulling … 43 of 120 MB"), at most a few per second.
   */
  abstract start(
    spec: SandboxSpec,
    onProgress: (message: string) => void,
    signal: AbortSignal,
  ): Promise<Sandbox>;

  /** The sandbox if it runs; undefined when it does not exist or has stopped. */
  abstract find(deploymentId: string, signal: AbortSignal): Promise<Sandbox | undefined>;

  /** Why the sandbox stopped, for a person; undefined when it runs or is unknown. */
  abstract explainStop(
    deploymentId: string,
    signal: AbortSignal,
  ): Promise<'out_of_memory' | 'stopped' | undefined>;

  /**
   * Take the sandbox out of the engine: container, network, volume. Its memory is free and its address unused; the account
   * and the content of HOME wait for the next `start`. Missing parts are fine.
   */
  abstract stop(identity: SandboxIdentity, signal: AbortSignal): Promise<void>;

  /**
   * Change memory, cpus and pids of a running sandbox. Throws `resize_refused`, with everything left as it was, where the
   * runtime cannot do that (gVisor up to now) or not now (memory below what is in use): the next `start` can. Throws
   * `sandbox_gone` when there is none. The disk is not among them.
   */
  abstract resize(deploymentId: string, limits: LiveLimits, signal: AbortSignal): Promise<void>;

  /** What a running sandbox uses just now. Takes a moment. Throws `sandbox_gone` when there is none. */
  abstract usage(deploymentId: string, signal: AbortSignal): Promise<SandboxUsage>;

  /** Bytes that HOME takes, whether the sandbox runs or not; undefined: there is none. Needs no engine. */
  abstract diskUsage(deploymentId: string): Promise<number | undefined>;

  /** Remove everything: container, network, home, account. Missing parts are fine. */
  abstract remove(identity: SandboxIdentity, signal: AbortSignal): Promise<void>;

  /** Start one process in a running sandbox: ENTRYPOINT + (args or CMD). Throws `sandbox_gone` when there is none. */
  abstract spawn(deploymentId: string, spec: ProcessSpec, signal: AbortSignal): Promise<SandboxProcess>;

  /** Kill every process in the sandbox but its pause process: what an earlier control plane left behind. */
  abstract killStrays(deploymentId: string, signal: AbortSignal): Promise<void>;

  /** All deployments of this instance of which anything is left, here or in the engine. */
  abstract list(signal: AbortSignal): Promise<SandboxTrace[]>;

  /**
   * Called when a sandbox that ran has died, was killed or removed, or lost its network, by whomever. Not called for what
   * `stop` and `remove` do. A hint to look at once: it may come twice, and what happens while the engine is away is not
   * told, see `onReturn`. Returns how to stop listening.
   */
  abstract onDeath(listener: (deploymentId: string) => void): () => void;

  /**
   * Called when the engine answers again after it did not. From then on deaths are told again; those in between were not,
   * so look at everything. Returns how to stop listening.
   */
  abstract onReturn(listener: () => void): () => void;

  abstract check(signal: AbortSignal): Promise<RuntimeCheck[]>;

  /** Asks nobody. */
  abstract vitals(): RuntimeVitals;

  /** Calls `listener` after each call of the engine. It must not throw and not wait. Returns how to stop listening. */
  abstract onEngineCall(listener: (call: EngineCall) => void): () => void;
}

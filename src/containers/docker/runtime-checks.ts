import type { Config } from '../../config/config.js';
import { AppError } from '../../errors/app-error.js';
import type { RuntimeCheck } from '../sandbox-runtime.js';
import { type Engine, reasonOf } from './engine.js';
import type { Firewall } from './firewall.js';

const SAFE_RUNTIME = 'runsc';

/** The part of it that matters here. */
export interface EngineInfo {
  Runtimes?: Record<string, { path?: string }>;
  ServerVersion?: string;
}

/** Throws unless the configured runtime is registered in the engine, and is gVisor or explicitly allowed not to be. */
export async function requireRuntime(engine: Engine, config: Config, signal: AbortSignal): Promise<void> {
  const [, runtime] = await checkRuntime(engine, config, signal);
  if (!runtime.ok) throw new AppError('runtime_unavailable', { detail: runtime.message });
}

export async function checkHost(
  engine: Engine,
  firewall: Firewall,
  config: Config,
  signal: AbortSignal,
): Promise<RuntimeCheck[]> {
  const [runtimes, isWhole] = await Promise.all([checkRuntime(engine, config, signal), firewall.isWhole()]);
  const message = isWhole
    ? 'The firewall rules are in place.'
    : 'The firewall rules are missing or were changed. The next start of a sandbox, or of the service, applies them again.';
  return [...runtimes, { name: 'firewall', ok: isWhole, message }];
}

async function checkRuntime(
  engine: Engine,
  config: Config,
  signal: AbortSignal,
): Promise<[RuntimeCheck, RuntimeCheck]> {
  const { answer, info } = await checkEngine(engine, signal);
  if (info !== undefined) return [answer, judgeRuntime(info, config)];
  return [
    answer,
    { name: 'runtime', ok: false, message: 'Unknown while the container engine does not answer.' },
  ];
}

/** Whether the engine answers, and what it says of itself. Rejects only when `signal` is aborted. */
export async function checkEngine(
  engine: Engine,
  signal: AbortSignal,
): Promise<{ answer: RuntimeCheck; info: EngineInfo | undefined }> {
  try {
    await engine.refresh();
    const info = (await engine.ask(signal, (docker) => docker.info())) as EngineInfo;
    const message = `Docker ${info.ServerVersion ?? ''} answers.`;
    return { answer: { name: 'engine', ok: true, message }, info };
  } catch (error) {
    signal.throwIfAborted();
    return { answer: { name: 'engine', ok: false, message: reasonOf(error) }, info: undefined };
  }
}

function runtime(ok: boolean, message: string): RuntimeCheck {
  return { name: 'runtime', ok, message };
}

export function judgeRuntime(info: EngineInfo, { sandboxRuntime, allowUnsafeRuntime }: Config): RuntimeCheck {
  if (sandboxRuntime !== SAFE_RUNTIME && !allowUnsafeRuntime) {
    return runtime(
      false,
      `SANDBOX_RUNTIME=${sandboxRuntime} needs ALLOW_UNSAFE_RUNTIME=true: it may not isolate servers.`,
    );
  }
  if (info.Runtimes?.[sandboxRuntime] === undefined) {
    return runtime(
      false,
      `The runtime ${sandboxRuntime} is not registered in the engine; setup.sh engine registers runsc.`,
    );
  }
  if (sandboxRuntime === SAFE_RUNTIME) return runtime(true, 'Sandboxes run under gVisor.');
  return runtime(true, `UNSAFE: sandboxes run under ${sandboxRuntime}, not under gVisor.`);
}

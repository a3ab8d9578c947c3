import { randomBytes } from 'node:crypto';
import { AppError } from '../../errors/app-error.js';
import type { ProcessSpec, Sandbox } from '../sandbox-runtime.js';
import type { Engine } from './engine.js';
import { launchCommand, TAG } from './launcher.js';
import { HOME } from './pause-container.js';
import { ExecProcess, type ProcessHost } from './process.js';
import type { ProcessSignals } from './process-signals.js';
import { killContainer } from './sandbox-containers.js';
import { exitCodeOf, goneOr } from './sandbox-exec.js';

/** Start the image's program in the sandbox, once more. */
export async function spawnProcess(
  engine: Engine,
  signals: ProcessSignals,
  sandbox: Sandbox,
  { args, env }: ProcessSpec,
  signal: AbortSignal,
): Promise<ExecProcess> {
  const argv = [...sandbox.entrypoint, ...(args ?? sandbox.command)];
  if (argv.length === 0) throw new AppError('image_invalid', { detail: 'There is no command to start.' });
  const tag = randomBytes(8).toString('hex');
  const variables = { HOME, ...env, [TAG]: tag };
  try {
    const exec = await engine.change(signal, (docker, abortSignal) =>
      docker.getContainer(sandbox.containerId).exec({
        Cmd: launchCommand(argv),
        Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
        AttachStdin: true,
        AttachStdout: true,
        AttachStderr: true,
        abortSignal,
      }),
    );
    // Not abortable: once asked, the process may run, and then somebody has to hold it.
    const stream = await engine.change(new AbortController().signal, (_docker, abortSignal) =>
      exec.start({ hijack: true, stdin: true, abortSignal }),
    );
    const process = new ExecProcess(stream, hostOf(engine, signals, sandbox.containerId, exec.id, tag));
    if (signal.aborted) {
      await process.end(0);
      signal.throwIfAborted();
    }
    return process;
  } catch (error) {
    throw goneOr(error);
  }
}

function hostOf(
  engine: Engine,
  signals: ProcessSignals,
  containerId: string,
  execId: string,
  tag: string,
): ProcessHost {
  return {
    exitCode: () => exitCodeOf(engine, execId),
    signal: (name, group, waitMs) => signals.send(containerId, { name, group, tag, waitMs }),
    async killSandbox() {
      await killContainer(engine, containerId).catch(() => undefined);
    },
  };
}

import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { AppError } from '../../errors/app-error.js';
import { type Engine, reasonOf, statusOf } from './engine.js';
import { StreamDemuxer } from './stream-demuxer.js';

const MAX_OUTPUT = 4 * 1024 * 1024;
const EXIT_CODE_TRIES = 30;
const EXIT_CODE_PAUSE_MS = 100;

/** Run one of our own scripts in the container and wait for it. `code` undefined: it could not be learnt in time. */
export async function runInside(
  engine: Engine,
  containerId: string,
  argv: string[],
  signal: AbortSignal,
  deadlineMs: number,
): Promise<{ code: number | undefined; stdout: string }> {
  const { execId, stdout } = await engine.ask(
    signal,
    async (docker, abortSignal) => {
      const options = { Cmd: argv, AttachStdout: true, AttachStderr: true, abortSignal };
      const exec = await docker.getContainer(containerId).exec(options);
      const output = await exec.start({ hijack: false, stdin: false, abortSignal });
      let said = '';
      const demuxer = new StreamDemuxer((channel, slice) => {
        // Our scripts print ASCII; what a sandbox makes of it is not ours to hold.
        if (channel === 'stdout' && said.length < MAX_OUTPUT) said += slice.toString('latin1');
      });
      output.on('data', (chunk: Buffer) => {
        try {
          demuxer.push(chunk);
        } catch (error) {
          (output as Readable).destroy(error as Error);
        }
      });
      await finished(output, { writable: false });
      return { execId: exec.id, stdout: said };
    },
    deadlineMs,
  );
  return { code: await exitCodeOf(engine, execId), stdout };
}

/** The code of a process whose stream has ended; the engine may need a moment to know it. */
export async function exitCodeOf(engine: Engine, execId: string): Promise<number | undefined> {
  const signal = AbortSignal.timeout(EXIT_CODE_TRIES * EXIT_CODE_PAUSE_MS);
  while (!signal.aborted) {
    try {
      const inspect = await engine.find(signal, (docker, abortSignal) =>
        docker.getExec(execId).inspect({ abortSignal }),
      );
      if (inspect === undefined) return undefined;
      if (!inspect.Running) return inspect.ExitCode ?? undefined;
    } catch {
      return undefined;
    }
    await new Promise((resolve) => setTimeout(resolve, EXIT_CODE_PAUSE_MS));
  }
  return undefined;
}

/** The engine's refusal to exec in a container that is gone or does not run; other errors as they are. */
export function goneOr(error: unknown): unknown {
  const status = statusOf(error);
  // One that is just dying is an internal error to the engine.
  const isDying = status === 500 && /container not running/.test(reasonOf(error));
  if (status !== 404 && status !== 409 && !isDying) return error;
  return new AppError('sandbox_gone', { cause: error });
}

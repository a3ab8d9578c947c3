import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { AppError } from '../../errors/app-error.js';
import { diskFull, isDiskFull } from './disk-full.js';
import { type Engine, reasonOf, statusOf } from './engine.js';

const MB = 1024 * 1024;
const PROGRESS_INTERVAL_MS = 500;
/** The engine itself gives up on a silent registry sooner or later; we do not wait for its last try. */
const SILENCE_MS = 60_000;
/** How registries say that an image is not there; a private one says the same to those who may not see it. */
const NOT_FOUND =
  /not found|manifest unknown|pull access denied|does not exist|denied: requested access|no such image/i;

/** One line of the engine's report. */
interface PullLine {
  id?: string;
  status?: string;
  error?: string;
  progressDetail?: { current?: number; total?: number };
}

/** Throws `image_not_found` or `image_pull_failed`. */
export async function pullImage(
  engine: Engine,
  reference: string,
  onProgress: (message: string) => void,
  signal: AbortSignal,
): Promise<void> {
  onProgress(`Pulling ${reference}.`);
  // Ends the transfer in the engine, too, when we leave before it is done.
  const transfer = new AbortController();
  const abort = (): void => transfer.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const report = await engine.ask(
      signal,
      (docker) => docker.pull(reference, { abortSignal: transfer.signal }) as Promise<Readable>,
      SILENCE_MS,
    );
    await follow(report, reference, onProgress, transfer);
  } catch (error) {
    signal.throwIfAborted();
    throw explained(reference, error);
  } finally {
    signal.removeEventListener('abort', abort);
    transfer.abort();
  }
}

async function follow(
  report: Readable,
  reference: string,
  onProgress: (message: string) => void,
  transfer: AbortController,
): Promise<void> {
  const layers = new Map<string, { current: number; total: number }>();
  const silence = setTimeout(() => transfer.abort(new Error('the registry fell silent')), SILENCE_MS);
  let told = Date.now();
  // Events of the stream, as readline passes no error on.
  const failure = new Promise<never>((_resolve, reject) => {
    report.once('error', () => reject(transfer.signal.reason ?? new Error('the engine broke off')));
  });
  const read = async (): Promise<void> => {
    for await (const text of createInterface({ input: report })) {
      silence.refresh();
      const line = JSON.parse(text) as PullLine;
      if (line.error !== undefined) throw new Error(line.error);
      const { current, total } = line.progressDetail ?? {};
      if (line.id === undefined || line.status !== 'Downloading' || current === undefined) continue;
      layers.set(line.id, { current, total: total ?? current });
      if (Date.now() - told < PROGRESS_INTERVAL_MS) continue;
      told = Date.now();
      onProgress(`Pulling ${reference}, ${sizesOf([...layers.values()])}.`);
    }
  };
  try {
    await Promise.race([read(), failure]);
  } finally {
    clearTimeout(silence);
  }
}

function sizesOf(layers: { current: number; total: number }[]): string {
  const sum = (pick: (layer: { current: number; total: number }) => number): number =>
    Math.round(layers.reduce((all, layer) => all + pick(layer), 0) / MB);
  return `${sum(({ current }) => current)} of ${sum(({ total }) => total)} MB`;
}

function explained(reference: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  const reason = reasonOf(error);
  if (isDiskFull(reason)) return diskFull(reason, error);
  if (statusOf(error) === 400) {
    return new AppError('image_not_found', {
      detail: `${reference} is no image reference: ${reason}`,
      cause: error,
    });
  }
  const code =
    NOT_FOUND.test(reason) && !/no such host/.test(reason) ? 'image_not_found' : 'image_pull_failed';
  return new AppError(code, { detail: `${reference}: ${reason}`, cause: error });
}

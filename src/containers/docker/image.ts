import type Dockerode from 'dockerode';
import { AppError } from '../../errors/app-error.js';
import { type Engine, reasonOf, statusOf } from './engine.js';
import { pullImage } from './image-pull.js';

/** What of an image matters here. Its labels, user, ports and health check do not. */
export interface SandboxImage {
  id: string;
  entrypoint: string[];
  command: string[];
  /** Paths that the image declares as VOLUME. */
  volumes: string[];
  labelNames: string[];
}

/**
 * What `registry:5000/group/name:tag@sha256:…` is made of, roughly: the engine knows the grammar. But the reference becomes
 * part of a path of the engine's API, where a `?` or a `..` would ask for something else.
 */
const REFERENCE = /^\w[\w.:@/-]{0,511}$/;
const LEAVES_PATH = /(^|\/)\.{0,2}(\/|$)/;

/** The image, pulled when the engine does not have it. */
export async function findOrPullImage(
  engine: Engine,
  reference: string,
  onProgress: (message: string) => void,
  signal: AbortSignal,
): Promise<SandboxImage> {
  if (!REFERENCE.test(reference) || LEAVES_PATH.test(reference)) {
    throw new AppError('image_not_found', { detail: 'This is not an image reference.' });
  }
  const inspect = () => inspectImage(engine, reference, signal);
  let found = await inspect();
  if (found === undefined) {
    await pullImage(engine, reference, onProgress, signal);
    found = await inspect();
  }
  if (found === undefined)
    throw new AppError('image_not_found', { detail: `There is no image ${reference}.` });
  return digest(reference, found);
}

async function inspectImage(
  engine: Engine,
  reference: string,
  signal: AbortSignal,
): Promise<Dockerode.ImageInspectInfo | undefined> {
  try {
    return await engine.find(signal, (docker, abortSignal) =>
      docker.getImage(reference).inspect({ abortSignal } as Dockerode.ImageInspectOptions),
    );
  } catch (error) {
    if (statusOf(error) !== 400) throw error;
    throw new AppError('image_not_found', { detail: reasonOf(error), cause: error });
  }
}

function digest(reference: string, info: Dockerode.ImageInspectInfo): SandboxImage {
  const entrypoint = wordsOf(info.Config.Entrypoint);
  const command = wordsOf(info.Config.Cmd);
  if (entrypoint.length + command.length === 0) {
    throw new AppError('image_invalid', {
      detail: `The image ${reference} has neither ENTRYPOINT nor CMD, so there is nothing to start.`,
    });
  }
  if (info.Os !== 'linux')
    throw new AppError('image_invalid', { detail: `The image ${reference} is not for Linux.` });
  const volumes = Object.keys(info.Config.Volumes ?? {});
  return { id: info.Id, entrypoint, command, volumes, labelNames: Object.keys(info.Config.Labels ?? {}) };
}

function wordsOf(words: string | string[] | undefined | null): string[] {
  if (words === undefined || words === null) return [];
  return typeof words === 'string' ? [words] : words;
}

import { AppError } from '../../errors/app-error.js';

const LONGEST_REASON = 300;

/** Whether these words, of the engine, a tool or the system, are those for a full disk. */
export function isDiskFull(reason: string): boolean {
  return /no space left on device|ENOSPC/i.test(reason);
}

export function diskFull(reason: string, cause: unknown): AppError {
  return new AppError('disk_full', {
    detail: `The disk of the host is full. Free space below DATA_DIR and where the container engine keeps its images. ${reason.slice(0, LONGEST_REASON)}`,
    cause,
  });
}

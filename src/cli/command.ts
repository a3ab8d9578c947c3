import { existsSync } from 'node:fs';
import type { ParseArgsConfig } from 'node:util';

/** How a command ended. `doctor` has 1 for warnings and 2 for failures instead. */
export const EXIT = { done: 0, failed: 1, usage: 64 } as const;

/** One command of `mcp-runner`; each is a file of its own. */
export interface Command {
  /** What `--help` prints. */
  help: string;
  options: NonNullable<ParseArgsConfig['options']>;
  /** How many arguments beyond the options. */
  positionals: number;
  /** Returns the exit code. Throws what is told in one line. */
  run(positionals: string[], options: Record<string, unknown>): Promise<number>;
}

/** Why a command does not do what it is asked to, in one line, and what to do about it. */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly remedy: string,
  ) {
    super(message);
    this.name = 'CommandError';
  }
}

/** A directory that is named by mistake is not made. */
export function requireDataDir(dataDir: string): void {
  if (!existsSync(dataDir))
    throw new CommandError(`There is no directory ${dataDir}`, 'Set DATA_DIR to what the service has.');
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { BackupError } from '../backup/backup-error.js';
import { ConfigError } from '../config/env-reader.js';
import { packageVersion } from '../config/package-version.js';
import { StartRefusal } from '../database/start-refusal.js';
import { AppError } from '../errors/app-error.js';
import { type Command, CommandError, EXIT, print } from './command.js';

/** Loaded when they are wanted. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  backup: async () => (await import('./backup.command.js')).backupCommand,
  restore: async () => (await import('./restore.command.js')).restoreCommand,
  doctor: async () => (await import('./doctor.command.js')).doctorCommand,
  gc: async () => (await import('./gc.command.js')).gcCommand,
  'publish:sourcemap': async () => (await import('./publish-sourcemap.command.js')).publishSourcemapCommand,
};

const HELP = `Usage: mcp-runner COMMAND [OPTIONS]

  backup FILE          copy the state of the service to a file, also while it runs
  restore FILE         put a backup in the place of the state
  doctor               look at everything that deployments need
  gc                   remove what is left of deployments that are gone
  publish:sourcemap    send the source maps of this build to Sentry

mcp-runner COMMAND --help says more. --version prints the version.
They read the same environment variables as the service, DATA_DIR above all.
Exit codes: 0 done, 1 failed, 64 wrong usage; doctor: 0 well, 1 warnings, 2 failures.`;

class UsageError extends Error {}

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    print(HELP);
    return name === undefined ? EXIT.usage : EXIT.done;
  }
  if (name === '--version') {
    print(packageVersion());
    return EXIT.done;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) throw new UsageError(`There is no command ${JSON.stringify(name.slice(0, 100))}`);
  const command = await load();
  const { values, positionals } = parse(command, args);
  if (values['help'] === true) {
    print(command.help);
    return EXIT.done;
  }
  if (positionals.length !== command.positionals) {
    const wanted = command.positionals === 0 ? 'no argument' : 'one argument, the file';
    throw new UsageError(`${name} takes ${wanted}, not ${positionals.length}`);
  }
  return command.run(positionals, values);
}

function parse({ options }: Command, args: string[]) {
  try {
    const help = { type: 'boolean', short: 'h' } as const;
    return parseArgs({ args, options: { ...options, help }, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(
      error instanceof Error ? (/^[^\n]*?(?=\. |\n|$)/.exec(error.message)?.[0] ?? '') : '',
    );
  }
}

/** One line and how to mend it; with its stack only what nobody expected. */
function explain(error: unknown): [text: string, code: number] {
  if (error instanceof UsageError)
    return [`mcp-runner: ${error.message}. See mcp-runner --help.`, EXIT.usage];
  if (error instanceof ConfigError)
    return [error.mistakes.map((mistake) => `Configuration: ${mistake}`).join('\n'), EXIT.usage];
  if (error instanceof BackupError || error instanceof CommandError)
    return [`mcp-runner: ${error.message}. ${error.remedy}`, EXIT.failed];
  if (error instanceof StartRefusal) return [`mcp-runner: ${error.message}`, EXIT.failed];
  if (error instanceof AppError) return [`mcp-runner: ${error.message}`, EXIT.failed];
  const { code, message, stack } = error as NodeJS.ErrnoException;
  if (code !== undefined && /^(E[A-Z]+|SQLITE_[A-Z_]+)$/.test(code))
    return [`mcp-runner: ${message}. Mend that and run it again.`, EXIT.failed];
  return [`mcp-runner: ${stack ?? String(error)}`, EXIT.failed];
}

process.stdout.on('error', () => undefined);
try {
  // At once: what did not answer in time may still be waited for somewhere.
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const [text, code] = explain(error);
  process.stderr.write(`${text}\n`);
  process.exit(code);
}

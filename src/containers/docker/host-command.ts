import { execFile } from 'node:child_process';

const DEADLINE_MS = 30_000;
/** Where administration tools are, also when the service was started without them in its PATH. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A host tool that ended badly. */
export class HostCommandError extends Error {
  constructor(
    readonly command: string,
    readonly exitCode: number | undefined,
    readonly stderr: string,
    options: ErrorOptions,
  ) {
    super(`${command}: ${stderr.trim() || 'failed'}`, options);
    this.name = 'HostCommandError';
  }
}

/** Run a tool of the host without a shell and return its stdout. Throws `HostCommandError`. */
export function runOnHost(command: string, args: string[], stdin = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { PATH, LC_ALL: 'C' }, timeout: DEADLINE_MS, killSignal: 'SIGKILL' } as const;
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else {
        const code = typeof error.code === 'number' ? error.code : undefined;
        const words = stderr || (error.code === 'ENOENT' ? 'not installed' : error.message);
        reject(new HostCommandError(command, code, words, { cause: error }));
      }
    });
    // A tool that ends without reading its input says why by its exit code.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stdin);
  });
}

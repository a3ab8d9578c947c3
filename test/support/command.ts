import { execFile } from 'node:child_process';
import process from 'node:process';

const MAIN = new URL('../../dist/cli/main.js', import.meta.url).pathname;

export interface CommandEnd {
  code: number;
  stdout: string;
  stderr: string;
}

/** Run the built `mcp-runner` to its end. */
export function mcpRunner(args: string[], settings: Record<string, string>): Promise<CommandEnd> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...args], { env: settings }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

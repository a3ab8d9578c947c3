import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { askEngine } from './engine-api.js';

/** Prints a line for each process but the first, this script and what only waits to be reaped. */
const PS = `
for dir in /proc/[0-9]*; do
  pid=\${dir#/proc/}
  [ "$pid" != 1 ] && [ "$pid" != $$ ] || continue
  read -r stat 2>/dev/null <"$dir/stat" || continue
  case \${stat##*) } in Z*) continue ;; esac
  echo "$stat"
done`;

/** What runs in a sandbox beside its pause process, one line each. */
export async function processesIn(containerId: string): Promise<string[]> {
  const script = ['/.mcp-runner/busybox', 'sh', '-c', PS];
  const { stdout } = await promisify(execFile)('docker', ['exec', containerId, ...script]);
  return stdout.split('\n').filter((line) => line !== '');
}

/** Ids of the execs that run as far as the engine knows. */
export async function execsIn(containerId: string): Promise<string[]> {
  const container = await askEngine<{ ExecIDs: string[] | null }>(`/containers/${containerId}/json`);
  const running = await Promise.all(
    (container?.ExecIDs ?? []).map(async (id) => {
      const exec = await askEngine<{ Running: boolean }>(`/exec/${id}/json`);
      return exec?.Running === true ? [id] : [];
    }),
  );
  return running.flat();
}

/** The command lines of all processes of this machine. */
export function hostProcesses(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`;
      } catch {
        return '';
      }
    });
}

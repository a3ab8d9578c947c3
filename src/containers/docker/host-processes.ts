import { readdir, readFile } from 'node:fs/promises';

const CONTAINER_ID = /^[0-9a-f]{64}$/;

/**
 * Kills the gVisor kernel of a sandbox, and the runtime's commands that wait for it. The engine asks that kernel to kill
 * its processes, and one in trouble (a fork bomb at the limit of processes, say) lets it wait for a minute and keeps the
 * container locked meanwhile. Where this process does not see the host's processes, the engine's way remains.
 */
export function killSentryOf(containerId: string): Promise<void> {
  return killRuntimes(/^runsc-(sandbox|exec)$/, containerId);
}

/**
 * Kills whatever of the runtime is left of a container that is removed: a start that fails inside runsc leaves its
 * processes and the engine's shim behind.
 */
export function killLeftoversOf(containerId: string): Promise<void> {
  return killRuntimes(/^(runsc|containerd-shim)/, containerId);
}

/** Runtime processes are known by the full container id among their arguments. */
async function killRuntimes(program: RegExp, containerId: string): Promise<void> {
  if (!CONTAINER_ID.test(containerId)) return;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const killIfRuntime = async (pid: string): Promise<void> => {
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0');
    const name = argv[0]?.split('/').at(-1) ?? '';
    if (!program.test(name) || !argv.some((word) => isId(word, containerId))) return;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // Gone in the meantime.
    }
  };
  await Promise.all(pids.map(killIfRuntime));
}

function isId(word: string, containerId: string): boolean {
  return word === containerId || word.endsWith(`/${containerId}`);
}
